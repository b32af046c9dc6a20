package server

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenMatrix says what each route answers each credential.
const goldenMatrix = "testdata/matrix.txt"

// A route accepts credentials of these classes. Those of the API are the names that
// /openapi.json has for them.
const (
	anybody = "anybody"
	session = "session"
	metric  = "metrics token"

	secretKey     = "secretKey"
	additionalKey = "additionalKey"
	publicToken   = "publicAccessToken"
	personalToken = "personalAccessToken"
)

// beside are the classes of the routes that are on no routes page.
var beside = map[string]string{
	"GET /healthcheck": anybody, "GET /readyz": anybody, "GET /metrics": metric,
	"GET /login": anybody, "POST /login": anybody, "POST /logout": anybody,
	"GET /account/tokens":                    anybody, // it says how to get one
	"GET /account/authorization-code/{code}": session, "POST /account/authorization-code/{code}": session,
}

// served is a route of the whole server.
type served struct {
	method, path string
	classes      []string
}

func (r served) name() string { return r.method + " " + r.path }

// open reports whether anybody may call the route.
func (r served) open() bool { return slices.Contains(r.classes, anybody) }

// surface walks the router of a server: each of its routes, by path, with the classes that it
// accepts. A route that is on no page and not in beside fails the test.
func (w *world) surface() []served {
	w.t.Helper()
	var doc struct {
		Paths map[string]map[string]struct{ Security []map[string]any }
	}
	if err := json.Unmarshal(w.call(nobody, "GET", "/openapi.json", "").body, &doc); err != nil {
		w.t.Fatal(err)
	}
	var all []served
	for _, name := range routesOf(w.t, w.router) {
		method, path, _ := strings.Cut(name, " ")
		r := served{method: method, path: path}
		op, described := doc.Paths[strings.Replace(path, "*", "{path}", 1)][strings.ToLower(method)]
		switch {
		case described && len(op.Security) == 0, method == http.MethodOptions, strings.HasPrefix(path, "/otel/"):
			r.classes = []string{anybody}
		case described:
			for _, s := range op.Security {
				r.classes = append(r.classes, slices.Collect(maps.Keys(s))...)
			}
		case beside[name] != "":
			r.classes = []string{beside[name]}
		case w.workers.Match(chi.NewRouteContext(), method, path):
			r.classes = []string{secretKey}
		default:
			w.t.Errorf("%s is served, and nobody says who may call it", name)
			continue
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b served) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.method, b.method)) })
	return all
}

// routesOf are the routes of a router, the ones for any method once.
func routesOf(t *testing.T, r chi.Routes) (names []string) {
	t.Helper()
	methods := map[string][]string{}
	err := chi.Walk(r, func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		methods[path] = append(methods[path], method)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, list := range methods {
		if len(list) > 6 {
			list = []string{"*"}
		}
		for _, m := range list {
			names = append(names, m+" "+path)
		}
	}
	return names
}

// TestEveryRouteWithEveryCredential calls every route with every credential, for the things of
// a production environment. The answers' statuses are those of the golden file; whatever it says,
// no credential gets more than it is for, or anything of another environment.
func TestEveryRouteWithEveryCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	routes, credentials := w.surface(), w.credentials()
	statuses := map[string]map[string]string{} // by route and credential
	for _, r := range routes {
		statuses[r.name()] = map[string]string{}
	}
	for _, c := range credentials {
		before := w.rows(c)
		for _, r := range routes {
			got := w.try(c, r)
			statuses[r.name()][c.name] = got.status()
			for _, wrong := range w.judge(c, r, got) {
				t.Errorf("%s with %s: %s: %s %.300s", r.name(), c.name, wrong, got.status(), got.body)
			}
		}
		if after := w.rows(c); after != before {
			t.Errorf("with %s somebody else's rows have changed: %s", c.name, gocmp.Diff(before, after))
		}
	}
	golden(t, goldenMatrix, matrix(routes, credentials, statuses))
}

// owned are the parameters that name a thing of one environment.
var owned = regexp.MustCompile(`\{(run|batch|waitpoint|queue|schedule|deployment|bulk|error|credential|span|snapshot|kind)\}`)

// forgetful are routes that look at nothing and keep nothing of what they are sent.
var forgetful = map[string]bool{"POST /engine/v1/dev/runs/{run}/logs/debug": true}

// judge says what is wrong with an answer, whatever the golden file says.
func (w *world) judge(c credential, r served, got answer) (wrong []string) {
	accepted := slices.Contains(r.classes, c.class)
	done := got.code/100 == 2 || got.waits
	switch {
	case got.code >= 500:
		wrong = append(wrong, "the server failed")
	case r.open() || forgetful[r.name()] && c.class == secretKey:
	case done && !accepted:
		wrong = append(wrong, "it is not accepted here")
	case c.class == "" && r.classes[0] != session && got.code != 401:
		wrong = append(wrong, "it is no credential at all")
	case c.powers == none && accepted && got.code != 403:
		wrong = append(wrong, "it may do nothing, and that is the answer")
	case c.env != target && c.env != everywhere && owned.MatchString(r.path) && done:
		wrong = append(wrong, "the thing belongs to another environment")
	}
	if found := w.leaks(c, got); found != "" {
		wrong = append(wrong, "the answer holds what is not for this credential ("+found+")")
	}
	return wrong
}

// leaks looks for what belongs to environments that are not the credential's, and for the
// contents of its own when it may read nothing. What the path names, the caller has known.
func (w *world) leaks(c credential, got answer) string {
	text := got.text()
	for _, d := range w.domains {
		mine := c.env == d.name || c.env == everywhere && d.project == w.target().project
		for kind, secrets := range map[string][]string{"an id": d.ids, "a secret": d.secrets, "a content": {d.mark}} {
			if mine && (c.powers != none || kind == "an id") && (c.powers != acts || kind == "an id") {
				continue
			}
			for _, s := range secrets {
				if strings.Contains(text, s) && !strings.Contains(got.path, s) {
					return kind + " of " + d.name + ": " + s
				}
			}
		}
	}
	return ""
}

// matrix is what was answered, as the golden file has it: of each route who may call it and,
// a line for each status, with which credentials it came. Names in brackets are all of a group.
func matrix(routes []served, credentials []credential, statuses map[string]map[string]string) string {
	var b strings.Builder
	b.WriteString("# What every route answers every credential. Written by\n#\tgo test ./internal/server -run EveryRoute -update\n# Read the difference: it is the review.\n")
	fmt.Fprintf(&b, "#\n# %d routes × %d credentials. Things in paths are those of the environment prod, of\n# which \"token …\" and \"key …\" are; a name in brackets is a whole group. \"waits\": accepted, and nothing happened.\n\n", len(routes), len(credentials))
	groups := map[string][]string{}
	var order []string
	for _, c := range credentials {
		if groups[c.group] == nil {
			order = append(order, c.group)
		}
		groups[c.group] = append(groups[c.group], c.name)
	}
	for _, g := range order {
		if len(groups[g]) > 1 {
			fmt.Fprintf(&b, "[%s] = %s\n", g, strings.Join(groups[g], ", "))
		}
	}
	for _, r := range routes {
		fmt.Fprintf(&b, "\n%s (%s)\n", r.name(), strings.Join(r.classes, ", "))
		by := map[string][]string{}
		for _, c := range credentials {
			by[statuses[r.name()][c.name]] = append(by[statuses[r.name()][c.name]], c.name)
		}
		for _, status := range slices.Sorted(maps.Keys(by)) {
			fmt.Fprintf(&b, "\t%s %s\n", status, strings.Join(grouped(by[status], order, groups, len(credentials)), ", "))
		}
	}
	return b.String()
}

// grouped puts the names of whole groups in brackets for their members.
func grouped(names, order []string, groups map[string][]string, all int) (out []string) {
	if len(names) == all {
		return []string{"[everybody]"}
	}
	for _, g := range order {
		var in, but []string
		for _, n := range groups[g] {
			if slices.Contains(names, n) {
				in = append(in, n)
			} else {
				but = append(but, n)
			}
		}
		switch {
		case len(but) == 0 && len(in) > 1:
			in = []string{"[" + g + "]"}
		case len(but)+1 < len(in):
			in = []string{"[" + g + "] but (" + strings.Join(but, ", ") + ")"}
		}
		out = append(out, in...)
	}
	return out
}

// golden compares a text with a file, or writes it there.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s; write it anew with -update and read what has changed:\n%s", path, diff)
	}
}
