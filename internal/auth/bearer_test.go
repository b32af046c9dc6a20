package auth_test

import (
	"net/http"
	"strings"
	"testing"

	"sear/internal/auth"
)

func request(lines ...string) *http.Request {
	return &http.Request{Header: http.Header{"Authorization": lines}}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"Bearer tr_dev_1"}, "tr_dev_1"},
		{[]string{"bEARER tr_dev_1"}, "tr_dev_1"},
		{[]string{" \tBearer \t tr_dev_1\t "}, "tr_dev_1"},
		{[]string{"Bearer\ttr_dev_1"}, "tr_dev_1"},
		{[]string{"Bearer a-b.c_d~e+f/g=="}, "a-b.c_d~e+f/g=="},
		{[]string{"Bearer"}, ""},
		{[]string{"Bearer "}, ""},
		{[]string{"tr_dev_1"}, ""},
		{[]string{"Basic tr_dev_1"}, ""},
		{[]string{"Bearertr_dev_1"}, ""},
		{[]string{"Bearer tr_dev_1 x"}, ""},
		{[]string{"Bearer tr=dev"}, ""},
		{[]string{"Bearer =="}, ""},
		{[]string{"Bearer tr_dev_1\u00a0"}, ""},
		{[]string{"Bearer tr_dev_1\xa0"}, ""},
		{[]string{"Bearer \u2003tr_dev_1"}, ""},
		{[]string{"Bearer\u00a0tr_dev_1"}, ""},
		{[]string{"Bearer tr_dev_1\v"}, ""},
		{[]string{"Bearer tr_dev_1,tr_dev_2"}, ""},
		{[]string{"Bearer tr_dev_1", "Bearer tr_dev_1"}, ""},
	} {
		if got := auth.Bearer(request(c.lines...)); got != c.want {
			t.Errorf("%q: %q, want %q", c.lines, got, c.want)
		}
	}
}

// FuzzBearer: whatever is read as a credential is all of the header but for the scheme and
// the blanks around it, so that one credential has no spellings that differ in anything else.
func FuzzBearer(f *testing.F) {
	for _, line := range []string{"Bearer tr_dev_1", "bearer  a.b.c== ", "Bearer a\u00a0", "Bearer\ta b", "Basic x", ""} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got := auth.Bearer(request(line))
		if got == "" {
			return
		}
		if !auth.IsToken(got) || strings.Trim(got, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") != "" {
			t.Errorf("%q is read as %q, which is no credential", line, got)
		}
		scheme, ok := strings.CutSuffix(strings.Trim(line, " \t"), got)
		blank := strings.TrimRight(scheme, " \t")
		if !ok || !strings.EqualFold(blank, "Bearer") || len(blank) == len(scheme) {
			t.Errorf("%q is read as %q", line, got)
		}
		for _, other := range []string{line + "\u00a0", line + "\x00", line + "x", line + "\u2003"} {
			if again := auth.Bearer(request(other)); again == got {
				t.Errorf("%q and %q are both %q", line, other, got)
			}
		}
	})
}
