// Package sear_test holds the rules that keep the code as it is laid out, each with its reason.
package sear_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	module        = "sear/"
	maxFileLines  = 600
	maxFuncLines  = 70
	maxInterface  = 5
	pureLayer     = 1
	reasonLayered = "imports go down only: what is below can be read, tested and changed without what is above"
	reasonPure    = "the domain is pure: time, ids and chance are arguments, so that every decision can be tested and repeated"
)

// layers says where each package stands. It may import those of lower layers, and of its own
// layer those in siblings.
var layers = map[string]int{
	"internal/fault": 0, "internal/id": 0, "internal/rest": 0, "internal/sockio": 0, "internal/limit": 0,
	"internal/sqldb": 0, "internal/version": 0, "internal/sqldb/pgtest": 0,

	"internal/tenant": pureLayer, "internal/run": pureLayer, "internal/queue": pureLayer,
	"internal/deploy": pureLayer, "internal/wire": pureLayer, "internal/schedule": pureLayer, "internal/telemetry": pureLayer,
	"internal/failure": pureLayer, "internal/why": pureLayer, "internal/jsdate": pureLayer,

	"internal/store": 2, "internal/blob": 2,
	"internal/auth": 3, "internal/engine": 3, "internal/backup": 3, "internal/doctor": 3,
	"internal/api": 4, "internal/workerapi": 4, "internal/web": 4, "internal/metrics": 4,
	"internal/server": 5, "internal/servertest": 5, "internal/devrun": 5,
	"cmd/sear":  6,
	"test/load": 7, "test/load/rawhttp": 7, "test/load/child": 7, "test/load/crash": 7, "test/tools/withpg": 7, "test/tools/zones": 7,
	"test/tools/s3server":  7, // a module of its own: the gateway's dependencies are not Sear's
	"internal/blob/s3test": 3, // runs that server
}

// siblings are the imports within a layer that are allowed.
var siblings = map[string][]string{
	"internal/rest": {"internal/fault"}, "internal/sockio": {"internal/fault", "internal/limit"}, "internal/sqldb": {"internal/fault"},
	"internal/failure":    {"internal/run", "internal/deploy"},                                                                              // what failed, and in which version
	"internal/why":        {"internal/run", "internal/queue", "internal/wire", "internal/deploy"},                                           // what holds one up, in the API's words
	"internal/telemetry":  {"internal/run"},                                                                                                 // its snapshots are told as spans
	"internal/deploy":     {"internal/run"},                                                                                                 // a task's retry policy
	"internal/run":        {"internal/queue"},                                                                                               // types only
	"internal/wire":       {"internal/run", "internal/queue", "internal/tenant", "internal/deploy", "internal/schedule", "internal/jsdate"}, // their JSON
	"internal/servertest": {"internal/server"},                                                                                              // boots it
	"test/load":           {"test/load/rawhttp", "test/load/child", "test/load/crash"},
	"test/load/crash":     {"test/load/child"},
}

// confined are the imports that only some packages may use.
var confined = []struct {
	imports, packages []string
	why               string
}{
	{[]string{"database/sql"}, []string{"internal/sqldb", "test/load"},
		"what a transaction promises is kept in one place; test/load measures the bare database"},
	{[]string{"net/http"}, []string{
		"internal/rest", "internal/sockio", "internal/auth", "internal/blob", "internal/api", "internal/workerapi", "internal/web",
		"internal/server", "internal/servertest", "internal/devrun", "internal/doctor", "internal/metrics", "cmd/sear", "test/load", "test/load/rawhttp", "test/load/crash",
	}, "the engine and all below it work without a request"},
	{[]string{"context", "os", "net", "math/rand", "math/rand/v2", "crypto/rand"}, above(pureLayer), reasonPure},
}

// above names the packages outside a layer.
func above(layer int) []string {
	var names []string
	for name, at := range layers {
		if at != layer {
			names = append(names, name)
		}
	}
	return names
}

var (
	clockCalls  = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	bannedNames = []string{"util", "utils", "common", "helper", "helpers", "shared", "types", "models", "base", "misc"}
)

// checks are the rules. Each returns what breaks it.
var checks = map[string]struct {
	check func(sources) []string
	why   string
}{
	"layers":     {checkLayers, reasonLayered},
	"confined":   {checkConfined, "see the table confined"},
	"clock":      {checkClock, reasonPure},
	"bearer":     {checkBearer, "two readers of a header come to know one credential under two names"},
	"sleep":      {checkSleep, "a sleep cannot be interrupted; a timer can"},
	"files":      {checkFiles, fmt.Sprintf("a file of more than %d lines is more than one thing", maxFileLines)},
	"functions":  {checkFunctions, fmt.Sprintf("a function of more than %d lines does not fit a screen or a head", maxFuncLines)},
	"interfaces": {checkInterfaces, fmt.Sprintf("an interface of more than %d methods is a class: its consumer declares what it needs", maxInterface)},
	"names":      {checkNames, "such a name says nothing, and so anything ends up in the package"},
	"limits":     {checkLimits, reasonLimits},
	"docs":       {checkDocs, "what is exported promises something; the comment says what"},
}

func TestArchitecture(t *testing.T) {
	t.Parallel()

	srcs, err := load(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if len(srcs) < 50 {
		t.Fatalf("only %d sources found", len(srcs))
	}
	for name, c := range checks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, broken := range c.check(srcs) {
				t.Errorf("%s\n\tThe reason for the rule: %s.", broken, c.why)
			}
		})
	}
}

// TestChecksFail shows that each rule can be broken, by the least that breaks it.
func TestChecksFail(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("\n", maxFileLines+1)
	for name, tc := range map[string]struct{ check, file, code, want string }{
		"upwards":          {"layers", "internal/run/a.go", `package run; import "sear/internal/store"`, "internal/run (layer 1) imports internal/store (layer 2)"},
		"sideways":         {"layers", "internal/api/a.go", `package api; import "sear/internal/web"`, "internal/api (layer 4) imports internal/web (layer 4)"},
		"unlisted":         {"layers", "internal/new/a.go", `package new`, "internal/new is in no layer"},
		"unlisted import":  {"layers", "internal/api/a.go", `package api; import "sear/internal/new"`, "imports internal/new, which is in no layer"},
		"sql":              {"confined", "internal/store/a.go", `package store; import "database/sql"`, "internal/store/a.go imports database/sql"},
		"http":             {"confined", "internal/engine/a.go", `package engine; import "net/http"`, "imports net/http"},
		"context":          {"confined", "internal/run/a.go", `package run; import "context"`, "imports context"},
		"chance":           {"confined", "internal/queue/a.go", `package queue; import "math/rand/v2"`, "imports math/rand/v2"},
		"clock":            {"clock", "internal/run/a.go", `package run; import "time"; var t = time.Now()`, "a.go:1 uses time.Now"},
		"bearer":           {"bearer", "internal/api/a.go", `package api; import "net/http"; func f(r *http.Request) string { return r.Header.Get("Authorization") }`, "a.go:1 reads the Authorization header"},
		"sleep":            {"sleep", "internal/api/a.go", `package api; import "time"; func f() { time.Sleep(1) }`, "a.go:1 uses time.Sleep"},
		"file":             {"files", "internal/run/a.go", "package run" + long, "a.go has 601 lines"},
		"test file":        {"files", "internal/run/a_test.go", "package run" + long, "a_test.go has 601 lines"},
		"script":           {"files", "test/sdk/a.mjs", "//" + long, "a.mjs has 601 lines"},
		"function":         {"functions", "internal/run/a.go", "package run\nfunc f() {" + long[:maxFuncLines] + "}", "a.go:2 f has 71 lines"},
		"interface":        {"interfaces", "internal/run/a.go", `package run; type i interface { a(); b(); c(); d(); e(); f() }`, "a.go:1 has 6 methods"},
		"package name":     {"names", "internal/util/a.go", `package util`, "internal/util"},
		"package comment":  {"docs", "internal/run/a.go", `package run`, "package internal/run has no comment"},
		"function comment": {"docs", "internal/run/a.go", "// Package run is.\npackage run\nfunc F() {}", "a.go:3 F has no comment"},
		"method comment":   {"docs", "internal/run/a.go", "// Package run is.\npackage run\n// T is.\ntype T int\nfunc (t *T) F() {}", "a.go:5 F has no comment"},
		"type comment":     {"docs", "internal/run/a.go", "// Package run is.\npackage run\ntype T int", "a.go:3 T has no comment"},
		"limit":            {"limits", "internal/run/a.go", "package run\nconst maxThings = 3", "a.go:2 maxThings does not say what it limits"},
		"limit inside":     {"limits", "internal/run/a.go", "package run\nfunc f() {\n\tconst mostThings = 3\n}", "a.go:3 mostThings does not say what it limits"},
		"limit chapter":    {"limits", "internal/run/a.go", "package run\n//limit:nowhere Things | things | 400\nconst n = 3", `a.go:3 n: "nowhere" is no chapter of docs/limits.md`},
		"limit line":       {"limits", "internal/run/a.go", "package run\n//limit:runs Things | things\nconst n = 3", "a.go:3 n: a limit is //limit:CHAPTER WHAT | UNIT | ANSWER"},
		"value comment":    {"docs", "internal/run/a.go", "// Package run is.\npackage run\nvar (\n\tV int\n)", "a.go:4 V has no comment"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srcs, err := load(fstest.MapFS{tc.file: {Data: []byte(tc.code)}})
			if err != nil {
				t.Fatal(err)
			}
			if got := checks[tc.check].check(srcs); len(got) != 1 || !strings.Contains(got[0], tc.want) {
				t.Errorf("%s: %q, want one with %q", tc.check, got, tc.want)
			}
		})
	}
}

// sources are the files of the repository that people write.
type sources []source

type source struct {
	path  string
	pkg   string // the directory
	lines int
	test  bool
	set   *token.FileSet
	ast   *ast.File // nil unless Go
}

func load(root fs.FS) (sources, error) {
	var all sources
	set := token.NewFileSet()
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".mjs", ".ts"}, path.Ext(name)) {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		s := source{path: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go")}
		s.lines = bytes.Count(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) + 1
		if path.Ext(name) == ".go" {
			s.set = set
			s.ast, err = parser.ParseFile(s.set, name, text, parser.ParseComments)
		}
		all = append(all, s)
		return err
	})
	return all, err
}

// code are the Go files that are not tests.
func (s sources) code() sources {
	return slices.DeleteFunc(slices.Clone(s), func(f source) bool { return f.ast == nil || f.test })
}

func (s source) line(p token.Pos) int { return s.set.Position(p).Line }

func (s source) at(n ast.Node) string { return fmt.Sprintf("%s:%d", s.path, s.line(n.Pos())) }

func (s source) imports() []string {
	var paths []string
	for _, spec := range s.ast.Imports {
		name, _ := strconv.Unquote(spec.Path.Value) // the parser has seen to it
		paths = append(paths, name)
	}
	return paths
}

func checkLayers(srcs sources) (broken []string) {
	seen := map[string]bool{}
	for _, s := range srcs.code() {
		from, listed := layers[s.pkg]
		if !listed && !seen[s.pkg] {
			broken = append(broken, s.pkg+" is in no layer")
		}
		seen[s.pkg] = true
		for _, name := range s.imports() {
			name, ours := strings.CutPrefix(name, module)
			to, known := layers[name]
			switch {
			case !ours || !listed:
			case !known:
				broken = append(broken, fmt.Sprintf("%s imports %s, which is in no layer", s.path, name))
			case to >= from && !slices.Contains(siblings[s.pkg], name):
				broken = append(broken, fmt.Sprintf("%s (layer %d) imports %s (layer %d), in %s", s.pkg, from, name, to, s.path))
			}
		}
	}
	return broken
}

func checkConfined(srcs sources) (broken []string) {
	for _, s := range srcs.code() {
		for _, name := range s.imports() {
			for _, c := range confined {
				if slices.Contains(c.imports, name) && !slices.Contains(c.packages, s.pkg) {
					broken = append(broken, fmt.Sprintf("%s imports %s: %s", s.path, name, c.why))
				}
			}
		}
	}
	return broken
}

func checkClock(srcs sources) (broken []string) {
	for _, s := range srcs.code() {
		if layers[s.pkg] == pureLayer {
			broken = append(broken, s.timeUses(clockCalls)...)
		}
	}
	return broken
}

func checkSleep(srcs sources) (broken []string) {
	for _, s := range srcs.code() {
		if !strings.HasPrefix(s.pkg, "test/") {
			broken = append(broken, s.timeUses([]string{"Sleep"})...)
		}
	}
	return broken
}

// bearerFile is the one place that reads credentials from requests.
const bearerFile = "internal/auth/bearer.go"

// checkBearer finds the name of the header wherever it is not one that a client sets.
func checkBearer(srcs sources) (broken []string) {
	for _, s := range srcs.code() {
		if s.path == bearerFile {
			continue
		}
		sent := map[ast.Node]bool{}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Set" && len(n.Args) > 0 {
					sent[n.Args[0]] = true
				}
			case *ast.BasicLit:
				if n.Value == `"Authorization"` && !sent[n] {
					broken = append(broken, s.at(n)+" reads the Authorization header: auth.Bearer does")
				}
			}
			return true
		})
	}
	return broken
}

// timeUses finds the uses of some functions of package time.
func (s source) timeUses(names []string) (found []string) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(names, sel.Sel.Name) {
			found = append(found, fmt.Sprintf("%s uses time.%s", s.at(n), sel.Sel.Name))
		}
		return true
	})
	return found
}

func checkFiles(srcs sources) (broken []string) {
	for _, s := range srcs {
		if s.lines > maxFileLines {
			broken = append(broken, fmt.Sprintf("%s has %d lines", s.path, s.lines))
		}
	}
	return broken
}

func checkFunctions(srcs sources) (broken []string) {
	for _, s := range srcs.code() {
		for _, d := range s.ast.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := s.line(f.End()) - s.line(f.Pos()) + 1; n > maxFuncLines {
				broken = append(broken, fmt.Sprintf("%s %s has %d lines", s.at(f), f.Name, n))
			}
		}
	}
	return broken
}

func checkInterfaces(srcs sources) (broken []string) {
	for _, s := range srcs.code() {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxInterface {
				broken = append(broken, fmt.Sprintf("the interface at %s has %d methods", s.at(i), i.Methods.NumFields()))
			}
			return true
		})
	}
	return broken
}

func checkNames(srcs sources) (broken []string) {
	for _, s := range srcs.code() {
		if slices.Contains(bannedNames, path.Base(s.pkg)) || slices.Contains(bannedNames, s.ast.Name.Name) {
			broken = append(broken, "the package of "+s.path)
		}
	}
	return broken
}

func checkDocs(srcs sources) (broken []string) {
	documented := map[string]bool{}
	for _, s := range srcs.code() {
		documented[s.pkg] = documented[s.pkg] || s.ast.Doc != nil
		for _, d := range s.ast.Decls {
			broken = append(broken, s.undocumented(d)...)
		}
	}
	for pkg, ok := range documented {
		if !ok {
			broken = append(broken, "package "+pkg+" has no comment")
		}
	}
	return broken
}

// undocumented finds the exported names of a declaration that have no comment. One comment
// serves a group of values.
func (s source) undocumented(d ast.Decl) (found []string) {
	missing := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if name.IsExported() && !slices.ContainsFunc(docs, func(g *ast.CommentGroup) bool { return g != nil }) {
			found = append(found, fmt.Sprintf("%s %s has no comment", s.at(name), name))
		}
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		ofError := d.Recv != nil && (d.Name.Name == "Error" || d.Name.Name == "Unwrap") // package errors says what they do
		if !ofError && (d.Recv == nil || ast.IsExported(receiver(d))) {
			missing(d.Name, d.Doc)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				missing(spec.Name, d.Doc, spec.Doc, spec.Comment)
			case *ast.ValueSpec:
				missing(spec.Names[0], d.Doc, spec.Doc, spec.Comment)
			}
		}
	}
	return found
}

// receiver is the name of a method's type.
func receiver(f *ast.FuncDecl) string {
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	name, _ := t.(*ast.Ident)
	return name.String()
}
