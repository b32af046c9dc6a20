package run

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// place is where a value of a document is or may be.
type place interface {
	get() any // nil when there is none
	set(v any)
}

// member is a place in an object.
type member struct {
	o   *object
	key string
}

func (m member) get() any {
	v := open(m.o.values[m.key])
	if v != nil {
		m.o.values[m.key] = v
	}
	return v
}

func (m member) set(v any) { m.o.set(m.key, v) }

// element is a place in an array: an item, or the end.
type element struct {
	a *array
	i int
}

func (e element) get() any {
	if e.i == len(e.a.items) {
		return nil
	}
	e.a.items[e.i] = open(e.a.items[e.i])
	return e.a.items[e.i]
}

func (e element) set(v any) {
	if e.i == len(e.a.items) {
		e.a.items = append(e.a.items, v)
		return
	}
	e.a.items[e.i] = v
}

// path is a JSON path such as $.users.0.name, in the dialect of the library that the
// SDK uses: steps are separated by dots, `*` is every member or item, and `[1:3]` a
// slice of an array. A backslash takes the meaning from a dot. A key's place may be
// empty, but nothing is made on the way to it, and a null is not replaced.
type path []string

// steps are separated by dots without a backslash before them; empty ones do not count.
var steps = regexp.MustCompile(`(?:[^.\\]|\\.)+`)

var unescape = strings.NewReplacer(`\.`, `.`, `\\`, `\`)

// parsePath reads a path, which begins with "$.".
func parsePath(key string) path {
	return steps.FindAllString(key, -1)[1:]
}

// places are those that the path leads to.
func (p path) places(root *object) []place {
	containers := []any{root}
	for i, step := range p {
		var found []place
		for _, c := range containers {
			found = append(found, placesIn(c, step)...)
		}
		if i == len(p)-1 {
			return found
		}
		containers = containers[:0:0]
		for _, f := range found {
			containers = append(containers, f.get())
		}
	}
	return nil
}

// placesIn are the places of a container that one step leads to.
func placesIn(container any, step string) []place {
	switch c := container.(type) {
	case *object:
		return membersOf(c, step)
	case *array:
		return elementsOf(c, step)
	}
	return nil
}

func membersOf(o *object, step string) []place {
	if step == "*" {
		var out []place
		for _, key := range o.keys {
			out = append(out, member{o, key})
		}
		return out
	}
	m := member{o, unescape.Replace(step)}
	if isNull(m.get()) {
		return nil
	}
	return []place{m}
}

func elementsOf(a *array, step string) []place {
	from, to := 0, len(a.items)
	if step != "*" {
		if i, err := strconv.Atoi(step); err == nil && strconv.Itoa(i) == step {
			return elementAt(a, i)
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

func elementAt(a *array, i int) []place {
	if i < 0 || i > len(a.items) { // an array has no holes
		return nil
	}
	e := element{a, i}
	if isNull(e.get()) {
		return nil
	}
	return []place{e}
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
	if len(steps.FindAllString(key, 2)) < 2 {
		return false
	}
	segments := strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(`.[]'"\`, r) })
	return !slices.ContainsFunc(segments, func(s string) bool { return slices.Contains(unsafeKeys, s) })
}
