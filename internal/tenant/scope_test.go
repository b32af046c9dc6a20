package tenant_test

import (
	"strings"
	"testing"

	"sear/internal/tenant"
)

func TestScopeAllows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scope, action, kind, id string
		want                    bool
	}{
		{"admin", "write", "queues", "q", true},
		{"admin", "read", "runs", "", true},
		{"admin:runs", "read", "runs", "", false},
		{"admin:", "read", "runs", "", false},
		{"admin::", "write", "runs", "run_1", false},
		{"read:runs:run_1", "read", "runs", "run_1", true},
		{"read:runs:run_1", "read", "runs", "run_2", false},
		{"read:runs:run_1", "read", "runs", "", false},
		{"read:runs:run_1", "write", "runs", "run_1", false},
		{"read:runs:run_1", "read", "tags", "run_1", false},
		{"read:runs", "read", "runs", "run_1", true},
		{"read:runs", "read", "runs", "", true},
		{"read:all", "read", "deployments", "d", true},
		{"read:all", "write", "deployments", "d", false},
		{"*:runs", "write", "runs", "run_1", true},
		{"*:all", "trigger", "tasks", "t", true},
		{"*", "read", "runs", "", false},
		{"read", "read", "runs", "", false},
		{"read:", "read", "runs", "", false},
		{"read:", "read", "", "", false},
		{"read:runs:", "read", "runs", "", false},
		{"read:runs:", "read", "runs", "run_1", false},
		{"read:tags:a:b:c", "read", "tags", "a:b:c", true},
		{"read:tags:a:b:c", "read", "tags", "a", false},
		{"trigger:tasks:send/mail", "trigger", "tasks", "send/mail", true},
		{"Read:runs", "read", "runs", "", false},
		{"", "read", "runs", "", false},
		{":", "", "", "", false},
	} {
		if got := tenant.ParseScope(c.scope).Allows(c.action, c.kind, c.id); got != c.want {
			t.Errorf("%q allows %s %s %q = %v, want %v", c.scope, c.action, c.kind, c.id, got, c.want)
		}
	}
}

func TestPrincipalCan(t *testing.T) {
	t.Parallel()
	scopes := []string{"read:tags:x", "write:waitpoints:w1"}
	for _, c := range []struct {
		kind tenant.Kind
		want bool
	}{
		{tenant.KindNone, false},
		{tenant.KindSecretKey, true},
		{tenant.KindPAT, true},
		{tenant.KindScopedKey, false},
		{tenant.KindPublic, false},
	} {
		p := tenant.Principal{Kind: c.kind, Scopes: scopes}
		if got := p.Can("read", "runs", "run_1"); got != c.want {
			t.Errorf("%q can read a run = %v, want %v", c.kind, got, c.want)
		}
		if p.Kind != tenant.KindNone && !p.Can("write", "waitpoints", "w1") {
			t.Errorf("%q cannot do what its second scope says", c.kind)
		}
	}
}

func TestMayGrant(t *testing.T) {
	t.Parallel()
	held := []string{"read:runs", "write:all", "*:queues:q1", "trigger:tasks:a"}
	for _, c := range []struct {
		scope string
		want  bool
	}{
		{"read:runs", true},
		{"read:runs:run_1", true},
		{"read:all", false},
		{"*:runs", false},
		{"admin", false},
		{"write:tags:x", true},
		{"write:all", true},
		{"read:queues:q1", true},
		{"read:queues", false},
		{"trigger:tasks:a", true},
		{"trigger:tasks:b", false},
		{"trigger:tasks", false},
		{"trigger:tasks:", false},
		{"write", false},
	} {
		p := tenant.Principal{Kind: tenant.KindScopedKey, Scopes: held}
		if got := p.MayGrant(c.scope); got != c.want {
			t.Errorf("MayGrant(%q) = %v, want %v", c.scope, got, c.want)
		}
		p.Kind = tenant.KindPublic
		if p.MayGrant(c.scope) {
			t.Errorf("a public token may grant %q", c.scope)
		}
		p.Kind = tenant.KindSecretKey
		if !p.MayGrant(c.scope) {
			t.Errorf("a secret key may not grant %q", c.scope)
		}
	}
}

// TestCoversIsSound tries every pair of small scopes: whatever a granted scope allows,
// its giver's allows too.
func TestCoversIsSound(t *testing.T) {
	t.Parallel()
	var all []tenant.Scope
	for _, action := range []string{"admin", "*", "read", "write", ""} {
		all = append(all, tenant.ParseScope(action))
		for _, kind := range []string{":", ":all", ":runs", ":tags"} {
			for _, id := range []string{"", ":", ":x", ":y"} {
				all = append(all, tenant.ParseScope(action+kind+id))
			}
		}
	}
	for _, held := range all {
		for _, want := range all {
			if held.Covers(want) {
				checkNoMore(t, held, want)
			}
		}
	}
}

func checkNoMore(t *testing.T, held, want tenant.Scope) {
	t.Helper()
	for _, action := range []string{"read", "write", "trigger"} {
		for _, kind := range []string{"runs", "tags", "tasks"} {
			for _, id := range []string{"", "x", "y"} {
				if want.Allows(action, kind, id) && !held.Allows(action, kind, id) {
					t.Errorf("%+v covers %+v, but only the latter allows %s %s %q", held, want, action, kind, id)
				}
			}
		}
	}
}

func FuzzParseScope(f *testing.F) {
	for _, s := range []string{"admin", "read:runs", "read:runs:run_1", "read:tags:a:b", "::", "", "*:all", "read:runs:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := tenant.ParseScope(s)
		back := p.Action
		if strings.Contains(s, ":") {
			back += ":" + p.Type
		}
		if p.One {
			back += ":" + p.ID
		}
		if back != s {
			t.Fatalf("%q became %q", s, back)
		}
		if p.Type == "" && s != "admin" && p.Allows(p.Action, "", "") {
			t.Fatalf("%q names no type and yet allows something", s)
		}
		if p.One && p.ID == "" && p.Type != "all" && p.Action != "admin" && p.Allows(p.Action, p.Type, "x") {
			t.Fatalf("%q has an empty id and yet allows something", s)
		}
	})
}
