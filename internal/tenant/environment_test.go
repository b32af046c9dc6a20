package tenant_test

import (
	"strings"
	"testing"

	"sear/internal/tenant"
)

func TestTypeForSlug(t *testing.T) {
	t.Parallel()
	for _, typ := range tenant.EnvTypes {
		if got, ok := tenant.TypeForSlug(typ.Slug()); !ok || got != typ {
			t.Errorf("TypeForSlug(%q) = %q, %v", typ.Slug(), got, ok)
		}
	}
	if got, ok := tenant.TypeForSlug("staging"); !ok || got != tenant.Staging {
		t.Errorf("TypeForSlug(staging) = %q, %v", got, ok)
	}
	for _, s := range []string{"", "DEV", "production", "stage"} {
		if got, ok := tenant.TypeForSlug(s); ok {
			t.Errorf("TypeForSlug(%q) = %q, want none", s, got)
		}
	}
	if s := tenant.EnvType("OTHER").Slug(); s != "" {
		t.Errorf("slug of an unknown type is %q", s)
	}
}

func TestValidBranch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		want bool
	}{
		{"main", true}, {"feat/x", true}, {"fix/#12@v1.2+x", true}, {strings.Repeat("a", 255), true},
		{"", false}, {strings.Repeat("a", 256), false}, {"/a", false}, {"a/", false}, {"a//b", false},
		{"a..b", false}, {"a b", false}, {"a\nb", false}, {"a:b", false}, {"a~1", false}, {"ü", false}, {"a\\b", false},
	} {
		if got := tenant.ValidBranch(c.name); got != c.want {
			t.Errorf("ValidBranch(%q) = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestRootID(t *testing.T) {
	t.Parallel()
	root := tenant.Environment{ID: "a"}
	branch := tenant.Environment{ID: "b", ParentID: "a"}
	if root.RootID() != "a" || branch.RootID() != "a" {
		t.Errorf("RootID: %q and %q, want a", root.RootID(), branch.RootID())
	}
}

func TestObfuscate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"tr_pat_abcd56789defghijkmnopqrstuvwxyz123456wxyz": "tr_pat_abcd****wxyz",
		"tr_pat_short": "tr_pat_****",
		"":             "tr_pat_****",
	} {
		if got := tenant.Obfuscate(in); got != want {
			t.Errorf("Obfuscate(%q) = %q, want %q", in, got, want)
		}
	}
}
