package run

import (
	"encoding/json"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// place is where a value of a document is or may be.
type place interface {
	get(*Editor) any // nil when there is none
	set(v any)
}

// member is a place in an object.
type member struct {
	o   *object
	key string
}

func (m member) get(e *Editor) any {
	v := e.open(m.o.get(m.key))
	if v != nil {
		m.o.set(m.key, v)
	}
	return v
}

func (m member) set(v any) { m.o.set(m.key, v) }

// element is a place in an array: an item, or the end.
type element struct {
	a *array
	i int
}

func (l element) get(e *Editor) any {
	if l.i == len(l.a.items) {
		return nil
	}
	l.a.items[l.i] = e.open(l.a.items[l.i])
	return l.a.items[l.i]
}

func (l element) set(v any) {
	if l.i == len(l.a.items) {
		l.a.items = append(l.a.items, v)
		return
	}
	l.a.items[l.i] = v
}

// path is a JSON path such as $.users.0.name, in the dialect of the library that the
// SDK uses: steps are separated by dots, `*` is every member or item, and `[1:3]` a
// slice of an array. A backslash takes the meaning from a dot. A key's place may be
// empty, but nothing is made on the way to it, and a null is not replaced.
type path []string

// steps splits a path at its dots, but not at those after a backslash. Empty steps do not
// count.
func steps(key string) iter.Seq[string] {
	return func(yield func(string) bool) {
		begin := 0
		for i := 0; i <= len(key); i++ {
			switch {
			case i == len(key) || key[i] == '.':
			case key[i] != '\\':
				continue
			case i+1 < len(key) && key[i+1] != '\n':
				i++ // what it escapes
				continue
			}
			if i > begin && !yield(key[begin:i]) {
				return
			}
			begin = i + 1
		}
	}
}

var unescape = strings.NewReplacer(`\.`, `.`, `\\`, `\`)

// parsePath reads a path, which begins with "$.".
func parsePath(key string) path {
	return slices.AppendSeq(make(path, 0, strings.Count(key, ".")+1), steps(key))[1:]
}

// places are those that the path leads to.
func (p path) places(e *Editor, root *object) []place {
	containers := []any{root}
	for i, step := range p {
		var found []place
		for _, c := range containers {
			found = append(found, placesIn(e, c, step)...)
		}
		e.spend(1 + len(containers) + len(found))
		if i == len(p)-1 {
			return found
		}
		containers = containers[:0:0]
		for _, f := range found {
			containers = append(containers, f.get(e))
		}
		if len(containers) == 0 || e.exhausted() {
			break
		}
	}
	return nil
}

// placesIn are the places of a container that one step leads to.
func placesIn(e *Editor, container any, step string) []place {
	switch c := container.(type) {
	case *object:
		return membersOf(e, c, step)
	case *array:
		return elementsOf(e, c, step)
	}
	return nil
}

func membersOf(e *Editor, o *object, step string) []place {
	if step == "*" {
		var out []place
		for _, m := range o.members {
			if m.value != nil {
				out = append(out, member{o, m.key})
			}
		}
		e.spend(len(o.members))
		return out
	}
	m := member{o, unescape.Replace(step)}
	if isNull(m.get(e)) {
		return nil
	}
	return []place{m}
}

func elementsOf(e *Editor, a *array, step string) []place {
	from, to := 0, len(a.items)
	if step != "*" {
		if i, err := strconv.Atoi(step); err == nil && strconv.Itoa(i) == step {
			return elementAt(e, a, i)
		}
		var ok bool
		if from, to, ok = parseSlice(step, len(a.items)); !ok {
			return nil
		}
	}
	var out []place
	for i := from; i < to; i++ {
		out = append(out, element{a, i})
	}
	return out
}

func elementAt(e *Editor, a *array, i int) []place {
	if i < 0 || i > len(a.items) { // an array has no holes
		return nil
	}
	l := element{a, i}
	if isNull(l.get(e)) {
		return nil
	}
	return []place{l}
}

var sliceStep = regexp.MustCompile(`^\[([0-9]{0,9}):(-?[0-9]{1,9})?\]$`)

// parseSlice reads [from:to] for an array of n items; a negative end counts from the
// array's own.
func parseSlice(step string, n int) (from, to int, ok bool) {
	m := sliceStep.FindStringSubmatch(step)
	if m == nil {
		return 0, 0, false
	}
	from, _ = strconv.Atoi(m[1]) // empty for 0
	to, err := strconv.Atoi(m[2])
	switch {
	case err != nil: // empty: to the end
		to = n
	case to < 0:
		to = max(to+n, 0)
	}
	return from, min(to, n), true
}

func isNull(v any) bool {
	text, raw := v.(json.RawMessage)
	return raw && string(text) == "null"
}

// unsafeKeys are those that reach the prototype of every object in the JavaScript
// that will read the document.
var unsafeKeys = []string{"__proto__", "constructor", "prototype"}

// safeKey refuses keys that are dangerous to JavaScript, and paths without a step.
func safeKey(key string) bool {
	if !strings.HasPrefix(key, "$.") {
		return key != unsafeKeys[0]
	}
	n := 0
	for range steps(key) {
		if n++; n == 2 {
			break
		}
	}
	if n < 2 {
		return false
	}
	for s := range strings.FieldsFuncSeq(key, func(r rune) bool { return strings.ContainsRune(`.[]'"\`, r) }) {
		if slices.Contains(unsafeKeys, s) {
			return false
		}
	}
	return true
}
