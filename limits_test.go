package sear_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/token"
	"go/types"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A limit is a constant with a line of this form in its comment:
//
//	//limit:CHAPTER WHAT | UNIT | ANSWER
//
// UNIT is bytes, s or ms for numbers that are such, another noun for others, and empty for a
// [time.Duration]. In ANSWER, which says what exceeding the limit leads to, {} is the number.
// What nobody can meet from the outside says why instead:
//
//	//limit:inside WHY
//
// They are the lines of docs/limits.md.

const (
	limitsPage   = "docs/limits.md"
	limitMark    = "//limit:"
	insideLimit  = "inside"
	reasonLimits = "what a caller or an operator can run into is in " + limitsPage + ", so its constant says in a line " + limitMark +
		" what it limits, or why nobody meets it; see limits_test.go"
)

var updateLimits = flag.Bool("update", false, "write "+limitsPage)

// chapters of the page, in its order.
var chapters = []struct{ key, title string }{
	{"rates", "Rates"},
	{"requests", "Requests and answers"},
	{"runs", "Runs"},
	{"metadata", "Metadata"},
	{"batches", "Batches"},
	{"waits", "Waits and tokens"},
	{"packets", "Large payloads and outputs"},
	{"lists", "Lists and bulk actions"},
	{"queues", "Queues"},
	{"schedules", "Schedules"},
	{"builds", "Builds and deployments"},
	{"variables", "Environment variables"},
	{"workers", "Workers"},
	{"access", "Keys, tokens and sign-in"},
	{"server", "The server"},
}

const limitsHead = `# Limits

Every limit that a caller or an operator can meet, with its value and what exceeding it leads to. Numbers in front of an answer are HTTP statuses; the text of the
answer is in its member "error". A KB is 1,024 bytes, an MB 1,024 KB. Where a flag is named, it changes the limit, and its default is shown.

How many runs may wait in a queue is not limited unless ` + "`--max-queue-dev` and `--max-queue-deployed`" + ` do so; then a trigger too many is answered 422 "Cannot trigger … as the
queue size limit for this environment has been reached. The maximum size is …".

This page is written by ` + "`go test . -run LimitsPage -update`" + ` from the constants in the code, and a test fails when it does not say what they say.
`

// limited is a constant that is a limit.
type limited struct {
	at                          string // file and line
	name                        string
	chapter, what, unit, answer string
	value                       constant.Value
	duration                    bool
}

// TestLimitsPage: the page says what the constants say.
func TestLimitsPage(t *testing.T) {
	t.Parallel()

	srcs, err := load(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	limits, err := srcs.limits()
	if err != nil {
		t.Fatal(err)
	}
	want, err := page(limits)
	if err != nil {
		t.Fatal(err)
	}
	if *updateLimits {
		if err := os.WriteFile(limitsPage, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(limitsPage); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the constants say (%v): go test . -run LimitsPage -update", limitsPage, err)
	}
}

// page is the text of the page.
func page(limits []limited) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(limitsHead)
	var broken []error
	for _, c := range chapters {
		fmt.Fprintf(&b, "\n## %s\n\n| what | limit | beyond it |\n|---|---|---|\n", c.title)
		for _, l := range limits {
			if l.chapter != c.key {
				continue
			}
			shown, err := l.shown()
			broken = append(broken, err)
			fmt.Fprintf(&b, "| %s | %s | %s |\n", l.what, shown, strings.ReplaceAll(l.answer, "{}", l.value.ExactString()))
		}
	}
	return b.Bytes(), errors.Join(broken...)
}

// shown is the value with its unit.
func (l limited) shown() (string, error) {
	if l.value.Kind() == constant.String {
		return "`" + constant.StringVal(l.value) + "` " + l.unit, nil
	}
	n, exact := constant.Int64Val(constant.ToInt(l.value))
	unit := map[string]time.Duration{"s": time.Second, "ms": time.Millisecond}[l.unit]
	if l.duration {
		unit = 1
	}
	switch {
	case !exact:
		return "", fmt.Errorf("%s: the limit %s is no whole number", l.at, l.name)
	case l.duration != (l.unit == ""):
		return "", fmt.Errorf("%s: the limit %s has the unit %q: a number has one, a duration none", l.at, l.name, l.unit)
	case unit != 0:
		return span(time.Duration(n) * unit), nil
	case l.unit == "bytes" && n >= 1<<20 && n%(1<<20) == 0:
		return grouped(n>>20) + " MB", nil
	case l.unit == "bytes" && n >= 1<<10 && n%(1<<10) == 0:
		return grouped(n>>10) + " KB", nil
	}
	return grouped(n) + " " + l.unit, nil
}

// span is a duration in the largest unit that gives a whole number.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	for _, u := range []struct {
		size       time.Duration
		one, other string
	}{{365 * day, "year", "years"}, {day, "day", "days"}, {time.Hour, "hour", "hours"}, {time.Minute, "minute", "minutes"}, {time.Second, "second", "seconds"}} {
		switch {
		case d == u.size:
			return "1 " + u.one
		case d > u.size && d%u.size == 0:
			return grouped(int64(d/u.size)) + " " + u.other
		}
	}
	return d.String()
}

// grouped is a number with its thousands apart.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// limits are the limits of all packages, by place, with their values.
func (s sources) limits() ([]limited, error) {
	var all []limited
	values := s.checked()
	for _, f := range s.code() {
		for _, c := range f.constants() {
			l, marked, err := parseLimit(c.mark)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.at(c.name), err)
			}
			if !marked || l.chapter == insideLimit {
				continue
			}
			l.at, l.name = f.at(c.name), c.name.Name
			k, known := values[f.pkg].Scope().Lookup(l.name).(*types.Const)
			if !known || k.Val().Kind() == constant.Unknown {
				return nil, fmt.Errorf("%s: the value of %s is not known", l.at, l.name)
			}
			l.value, l.duration = k.Val(), k.Type().String() == "time.Duration"
			all = append(all, l)
		}
	}
	return all, nil
}

// parseLimit reads the line of a limit.
func parseLimit(mark string) (l limited, marked bool, err error) {
	text, marked := strings.CutPrefix(mark, limitMark)
	if !marked {
		return l, false, nil
	}
	chapter, text, _ := strings.Cut(text, " ")
	parts := strings.Split(text, " | ")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	switch l.chapter = chapter; {
	case chapter == insideLimit && parts[0] != "":
		return l, true, nil
	case !slices.ContainsFunc(chapters, func(c struct{ key, title string }) bool { return c.key == chapter }):
		return l, true, fmt.Errorf("%q is no chapter of %s", chapter, limitsPage)
	case len(parts) != 3 || parts[0] == "" || parts[2] == "":
		return l, true, fmt.Errorf("a limit is %sCHAPTER WHAT | UNIT | ANSWER, not %q", limitMark, mark)
	}
	l.what, l.unit, l.answer = parts[0], parts[1], parts[2]
	return l, true, nil
}

// marked is a constant with the line that says what it limits, "" for none.
type marked struct {
	name *ast.Ident
	mark string
	text bool // it stands for a text, and so is a name of something rather than a bound
}

// constants are the constants of a file, those in functions too.
func (s source) constants() (all []marked) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		d, ok := n.(*ast.GenDecl)
		if !ok || d.Tok != token.CONST {
			return true
		}
		for _, spec := range d.Specs {
			spec := spec.(*ast.ValueSpec)
			docs := []*ast.CommentGroup{spec.Doc, spec.Comment}
			if !d.Lparen.IsValid() {
				docs = append(docs, d.Doc)
			}
			mark := ""
			for _, g := range docs {
				if g == nil {
					continue
				}
				for _, c := range g.List {
					if strings.HasPrefix(c.Text, limitMark) {
						mark = c.Text
					}
				}
			}
			for i, name := range spec.Names {
				text := false
				if i < len(spec.Values) {
					lit, ok := spec.Values[i].(*ast.BasicLit)
					text = ok && lit.Kind == token.STRING
				}
				all = append(all, marked{name, mark, text})
			}
		}
		return false
	})
	return all
}

// limitName is what a constant is called that looks like a limit.
var limitName = regexp.MustCompile(`^([mM]ax|[mM]ost|[lL]east)[A-Z]|.Limit$`)

// checkLimits finds the constants that look like limits and do not say what they limit.
func checkLimits(srcs sources) (broken []string) {
	for _, s := range srcs.code() {
		served := strings.HasPrefix(s.pkg, "internal/") || strings.HasPrefix(s.pkg, "cmd/")
		if !served || s.pkg == "internal/servertest" {
			continue
		}
		for _, c := range s.constants() {
			switch _, is, err := parseLimit(c.mark); {
			case err != nil:
				broken = append(broken, fmt.Sprintf("%s %s: %v", s.at(c.name), c.name, err))
			case !is && !c.text && limitName.MatchString(c.name.Name):
				broken = append(broken, fmt.Sprintf("%s %s does not say what it limits", s.at(c.name), c.name))
			}
		}
	}
	return broken
}

// checked are the packages of the sources, by directory, as far as their constants need them: what functions
// do, and what packages of others hold, is left out.
func (s sources) checked() map[string]*types.Package {
	files := map[string][]*ast.File{}
	for _, f := range s.code() {
		files[f.pkg] = append(files[f.pkg], f.ast)
	}
	known := packages{set: s.code()[0].set, files: files, done: map[string]*types.Package{}, std: importer.Default()}
	for pkg := range files {
		_, _ = known.Import(module + pkg)
	}
	return known.done
}

// packages imports the packages of the sources, and of others only those that hold constants.
type packages struct {
	set   *token.FileSet
	files map[string][]*ast.File
	done  map[string]*types.Package
	std   types.Importer
}

// Import type-checks a package at its first use.
func (p packages) Import(path string) (*types.Package, error) {
	own, ours := strings.CutPrefix(path, module)
	switch {
	case path == "time" || path == "math":
		return p.std.Import(path)
	case !ours || p.files[own] == nil:
		return nil, errors.New("not needed")
	case p.done[own] != nil:
		return p.done[own], nil
	}
	c := types.Config{Importer: p, IgnoreFuncBodies: true, Error: func(error) {}}
	pkg, _ := c.Check(path, p.set, p.files[own], nil) // with errors, for what it lacks
	p.done[own] = pkg
	return pkg, nil
}
