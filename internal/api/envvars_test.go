package api_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sear/internal/auth"
	"sear/internal/servertest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// vars is the path of an environment's variables.
func (s *site) vars(env string) string {
	return "/api/v1/projects/" + s.keys.ProjectRef + "/envvars/" + env
}

// values are the variables that a process in the environment sees.
func (s *site) values(env *tenant.Environment) map[string]string {
	s.t.Helper()
	all, err := s.auth.Variables(s.t.Context(), env)
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]string{}
	for _, v := range all {
		out[v.Name] = v.Value
	}
	return out
}

// scopedKey is a client with an additional key of the development environment.
func (s *site) scopedKey(scopes ...string) servertest.Client {
	s.t.Helper()
	key, err := s.auth.AddKey(s.t.Context(), s.env, "x", scopes, time.Time{})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.with(key)
}

func TestEnvVars(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		dev := s.vars("dev")
		expect(t, "an empty list", s.Call(t, "GET", dev, nil), 200, `[]`)
		expect(t, "create", s.Call(t, "POST", dev, `{"name":"A","value":"1"}`), 200, `{"success":true}`)
		expect(t, "create a secret", s.Call(t, "POST", dev, `{"name":"S","value":"s3cret","isSecret":true}`), 200, `{"success":true}`)
		expect(t, "list", s.Call(t, "GET", dev, nil), 200,
			`[{"name":"A","value":"1","isSecret":false},{"name":"S","value":"<redacted>","isSecret":true}]`)
		expect(t, "retrieve", s.Call(t, "GET", dev+"/A", nil), 200, `{"name":"A","value":"1","isSecret":false}`)
		expect(t, "retrieve a secret", s.Call(t, "GET", dev+"/S", nil), 200, `{"name":"S","value":"<redacted>","isSecret":true}`)

		expect(t, "create again", s.Call(t, "POST", dev, `{"name":"A","value":" 2 "}`), 200, `{"success":true}`)
		expect(t, "create a secret again", s.Call(t, "POST", dev, `{"name":"S","value":"new"}`), 200, `{"success":true}`)
		expect(t, "it stays a secret", s.Call(t, "GET", dev+"/S", nil), 200, `{"name":"S","value":"<redacted>","isSecret":true}`)
		expect(t, "update", s.Call(t, "PUT", dev+"/S", `{"value":"newer"}`), 200, `{"success":true}`)
		expect(t, "update by POST", s.Call(t, "POST", dev+"/A", `{"value":"3"}`), 200, `{"success":true}`)
		if got := s.values(s.env); len(got) != 2 || got["A"] != "3" || got["S"] != "newer" {
			t.Errorf("a process sees %v", got)
		}
		if got := s.values(s.prod); len(got) != 0 {
			t.Errorf("production sees %v", got)
		}

		expect(t, "delete", s.Call(t, "DELETE", dev+"/A", nil), 200, `{"success":true}`)
		for _, method := range []string{"GET", "DELETE", "PUT"} {
			expect(t, method+" what is gone", s.Call(t, method, dev+"/A", `{"value":"x"}`), 404, `{"error":"Environment variable not found"}`)
		}
		expect(t, "an odd name", s.Call(t, "GET", dev+"/a%2Fb%20c", nil), 404, `{"error":"Environment variable not found"}`)
		expect(t, "the name of a path", s.Call(t, "POST", dev, `{"name":"import","value":"1"}`), 200, `{"success":true}`)
		expect(t, "update it", s.Call(t, "PUT", dev+"/import", `{"value":"2"}`), 200, `{"success":true}`)
		expect(t, "retrieve it", s.Call(t, "GET", dev+"/import", nil), 200, `{"name":"import","value":"2","isSecret":false}`)
		s.checkSealed("newer")
	})
}

// checkSealed looks for a value in what the database keeps.
func (s *site) checkSealed(value string) {
	s.t.Helper()
	err := s.store.View(s.t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Variables(s.env)
		for _, v := range rows {
			if bytes.Contains(v.Sealed, []byte(value)) {
				s.t.Errorf("%s is in the clear", v.Name)
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestImportEnvVars(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		at := s.vars("dev") + "/import"
		const ok = `{"success":true}`
		expect(t, "a record", s.Call(t, "POST", at, `{"variables":{"A":"1","B":"2"}}`), 200, ok)
		expect(t, "a list", s.Call(t, "POST", at, `{"variables":[{"name":"C","value":"3"},{"name":"C","value":"4"}],"isSecret":true}`), 200, ok)
		const taken = `{"error":"Some of the variables are already set for these environments. Set override to true to override them.",
			"variableErrors":[{"key":"A","error":"*"},{"key":"C","error":"*"}]}`
		expect(t, "again", s.Call(t, "POST", at, `{"variables":{"C":"5","A":"5","D":"5"},"override":false}`), 400, taken)
		if got := s.values(s.env); fmt.Sprint(got) != "map[A:1 B:2 C:4]" {
			t.Errorf("after a refused import: %v", got)
		}
		expect(t, "with override", s.Call(t, "POST", at, `{"variables":{"C":"5","D":"5"},"override":true,"source":{"type":"integration","integration":"x"}}`), 200, ok)
		expect(t, "secrets", s.Call(t, "GET", s.vars("dev"), nil), 200, `[{"name":"A","value":"1","isSecret":false},
			{"name":"B","value":"2","isSecret":false},{"name":"C","value":"<redacted>","isSecret":true},{"name":"D","value":"5","isSecret":false}]`)
		expect(t, "no longer a secret", s.Call(t, "POST", at, `{"variables":{"C":"public"},"override":true,"isSecret":false}`), 200, ok)
		expect(t, "shown", s.Call(t, "GET", s.vars("dev")+"/C", nil), 200, `{"name":"C","value":"public","isSecret":false}`)

		expect(t, "blank and reserved", s.Call(t, "POST", at,
			`{"variables":{"E":"e","F":" \n","TRIGGER_SECRET_KEY":"x","TRIGGER_VERSION":"1"},"parentVariables":{"TRIGGER_API_URL":"y"}}`), 200,
			`{"success":true,"ignored":["F","TRIGGER_API_URL","TRIGGER_SECRET_KEY"]}`)
		expect(t, "what is the parent's only", s.Call(t, "POST", at, `{"variables":{},"parentVariables":{"P":"1","O":"1"}}`), 200, `{"success":true,"ignored":["O","P"]}`)
		if got := s.values(s.env); fmt.Sprint(got) != "map[A:1 B:2 C:public D:5 E:e TRIGGER_VERSION:1]" {
			t.Errorf("at the end: %v", got)
		}
	})
}

// TestImportsAtOnce: of several imports that may not replace anything, one succeeds.
func TestImportsAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		var wg sync.WaitGroup
		var succeeded atomic.Int32
		for i := range 8 {
			wg.Go(func() {
				got, err := s.Send(t.Context(), "POST", s.vars("dev")+"/import", fmt.Sprintf(`{"variables":{"A":"%d","B":"%d"}}`, i, i))
				switch {
				case err != nil || got.Status != 200 && got.Status != 400:
					t.Errorf("%d %s, %v", got.Status, got.Body, err)
				case got.Status == 200:
					succeeded.Add(1)
				}
			})
		}
		wg.Wait()
		if got := s.values(s.env); succeeded.Load() != 1 || got["A"] != got["B"] {
			t.Errorf("%d imports succeeded: %v", succeeded.Load(), got)
		}
	})
}

// form is a multipart body.
func form(t *testing.T, fields ...string) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if fields[i] != "variables" {
			_ = m.WriteField(fields[i], fields[i+1])
			continue
		}
		w, err := m.CreateFormFile(fields[i], ".env")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(fields[i+1]))
	}
	_ = m.Close()
	return b.Bytes(), m.FormDataContentType()
}

func TestImportDotenv(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	send := func(fields ...string) servertest.Response {
		body, contentType := form(t, fields...)
		return headers(s.Client, "Content-Type", contentType).Call(t, "POST", s.vars("dev")+"/import", body)
	}
	expect(t, "a file", send("variables", "# mine\nexport A=1\nB=\"x\\ny\"\nTRIGGER_API_URL=z\n", "isSecret", "false"), 200,
		`{"success":true,"ignored":["TRIGGER_API_URL"]}`)
	if got := s.values(s.env); len(got) != 2 || got["A"] != "1" || got["B"] != "x\ny" {
		t.Errorf("a process sees %q", got)
	}
	if got := send("variables", "A=2"); got.Status != 400 || !strings.Contains(string(got.Body), `"variableErrors":[{"key":"A"`) {
		t.Errorf("again: %d %s", got.Status, got.Body)
	}
	expect(t, "with override", send("override", "true", "variables", "A=2"), 200, `{"success":true}`)
	expect(t, "wrong lines", send("variables", "A=3\nnothing\nA.B=1\n=\n"), 400, `{"error":"Invalid request body","issues":[
		{"code":"custom","message":"Line 2 is not of the form NAME=value","path":["variables"]},
		{"code":"custom","message":"Line 4 is not of the form NAME=value","path":["variables"]},
		{"code":"custom","message":"A variable's name must consist of letters, digits and underscores","path":["variables","A","B"]}]}`)
	expect(t, "no file", send("override", "maybe"), 400, `{"error":"Invalid request body","issues":[
		{"code":"custom","message":"Required","path":["variables"]},{"code":"custom","message":"Expected true or false","path":["override"]}]}`)
	for name, file := range map[string]string{"nothing": "", "comments": "# A=1\n", "no text": "A=\xff", "a NUL": "A=\x00", "too many": strings.Repeat("A=1\n", 1001)} {
		if got := send("variables", file); got.Status != 400 {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	for _, contentType := range []string{"multipart/form-data", "multipart/form-data; boundary=other", "text/plain"} {
		got := headers(s.Client, "Content-Type", contentType).Call(t, "POST", s.vars("dev")+"/import", "--b\r\n\r\nA=1\r\n--b--")
		if got.Status != 400 {
			t.Errorf("%s: %d %s", contentType, got.Status, got.Body)
		}
	}
	if got := s.values(s.env); got["A"] != "2" {
		t.Errorf("something was half written: %q", got)
	}
}

func TestWrongEnvVars(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dev := s.vars("dev")
	at := dev + "/import"
	long, large := strings.Repeat("N", 257), strings.Repeat("v", 64<<10+1)
	many := `{"variables":{"A0":"x"`
	for i := range 1000 {
		many += fmt.Sprintf(`,"A%d":"x"`, i+1)
	}
	many += "}}"
	const nothing = "You must set at least one valid variable."
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     []string // in the answer
	}{
		{"no body", "POST", dev, ``, 400, []string{"Request body is empty"}},
		{"no JSON", "POST", dev, `{`, 400, []string{"Invalid JSON"}},
		{"a list", "POST", dev, `[1]`, 400, []string{"Expected object, received array"}},
		{"nothing in it", "POST", dev, `{}`, 400, []string{`"path":["name"]`, `"path":["value"]`}},
		{"wrong types", "POST", dev, `{"name":1,"value":true,"isSecret":"no"}`, 400,
			[]string{"Expected string, received number", "Expected string, received boolean", "Expected boolean, received string"}},
		{"no name", "POST", dev, `{"name":"","value":"x"}`, 400, []string{"letters, digits and underscores", `"path":["name"]`}},
		{"a dash, and too large", "POST", dev, `{"name":"A-B","value":"` + large + `"}`, 400, []string{"letters, digits", "at most 65536 bytes"}},
		{"a letter of another alphabet", "POST", dev, `{"name":"Ä","value":"x"}`, 400, []string{"letters, digits"}},
		{"a long name", "POST", dev, `{"name":"` + long + `","value":"x"}`, 400, []string{"at most 256 characters"}},
		{"a NUL", "POST", dev, `{"name":"A","value":"a\u0000b"}`, 400, []string{"Null characters"}},
		{"a blank value", "POST", dev, `{"name":"A","value":"  "}`, 400, []string{nothing}},
		{"a reserved name", "POST", dev, `{"name":"TRIGGER_SECRET_KEY","value":"x"}`, 400, []string{nothing, "TRIGGER_SECRET_KEY"}},
		{"a large body", "POST", dev, `{"name":"A","value":"` + strings.Repeat("v", 512<<10) + `"}`, 413, []string{"Request body too large"}},

		{"update without a value", "PUT", dev + "/A", `{}`, 400, []string{`"path":["value"]`}},
		{"update with a number", "PUT", dev + "/A", `{"value":1}`, 400, []string{"Expected string, received number"}},
		{"update with a blank", "PUT", dev + "/A", `{"value":""}`, 400, []string{"must not be blank"}},
		{"update with a large value", "PUT", dev + "/A", `{"value":"` + large + `"}`, 400, []string{"at most 65536 bytes"}},

		{"import nothing", "POST", at, `{}`, 400, []string{`"path":["variables"]`}},
		{"import no variables", "POST", at, `{"variables":{}}`, 400, []string{nothing}},
		{"import reserved ones", "POST", at, `{"variables":[{"name":"TRIGGER_API_URL","value":"x"}]}`, 400, []string{nothing, "TRIGGER_API_URL"}},
		{"import a text", "POST", at, `{"variables":"A=1"}`, 400, []string{"Expected object, received string"}},
		{"import, all problems", "POST", at, `{"variables":{"A":"ok","B":1,"C-D":"x","` + long + `":"y"},"parentVariables":[1,{"name":"Z"}],"override":"yes","isSecret":null}`, 400,
			[]string{"Expected string, received number", "letters, digits", "at most 256 characters", "Expected object, received number", "parentVariables[1]", "Expected boolean, received string", "Expected boolean, received null"}},
		{"import too many", "POST", at, many, 400, []string{"At most 1000"}},
		{"import too much", "POST", at, `{"variables":{` + strings.TrimPrefix(strings.Repeat(`,"A":"x"`, 2<<20/8+1), ",") + `}}`, 413, []string{"too large"}},
	} {
		got := s.Call(t, c.method, c.path, c.body)
		if got.Status != c.status {
			t.Errorf("%s: %d %.300s", c.name, got.Status, got.Body)
		}
		for _, want := range c.want {
			if !strings.Contains(string(got.Body), want) {
				t.Errorf("%s: %q is not in %.600s", c.name, want, got.Body)
			}
		}
	}
	if got := s.values(s.env); len(got) != 0 {
		t.Errorf("something was written: %v", got)
	}
}

// TestEnvVarRoom: an environment has as many variables as a process can start with.
func TestEnvVarRoom(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	at := s.vars("dev") + "/import"
	set := func(prefix string, n, size int) servertest.Response {
		vars := map[string]string{}
		for i := range n {
			vars[fmt.Sprintf("%s%d", prefix, i)] = strings.Repeat("v", size)
		}
		return s.Call(t, "POST", at, map[string]any{"variables": vars, "override": true})
	}
	expect(t, "large ones", set("L", 15, 64<<10), 200, `{"success":true}`)
	if got := set("M", 1, 64<<10); got.Status != 400 || len(s.values(s.env)) != 15 {
		t.Errorf("one more: %d %s", got.Status, got.Body)
	}
	expect(t, "small ones in their place", set("L", 15, 1), 200, `{"success":true}`)
	expect(t, "as many as there may be", set("N", 985, 1), 200, `{"success":true}`)
	if got := set("O", 1, 1); got.Status != 400 || !strings.Contains(string(got.Body), "1000 variables") {
		t.Errorf("one more: %d %s", got.Status, got.Body)
	}
	expect(t, "replacing", set("N", 985, 2), 200, `{"success":true}`)
}

func TestEnvVarsOfBranches(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		preview := s.vars("preview")
		pat := s.with(s.keys.PersonalAccessToken)
		base := "/api/v1/projects/" + s.keys.ProjectRef + "/branches"
		body[any](t, pat.Call(t, "POST", base, `{"env":"preview","branch":"b"}`))
		body[any](t, pat.Call(t, "POST", base, `{"env":"development","branch":"b"}`))
		const needed = `{"error":"x-trigger-branch header required for preview env"}`
		expect(t, "no branch, by key", s.with(s.keys.SecretKeys.Preview).Call(t, "GET", preview, nil), 401, needed)
		expect(t, "no branch, by user", pat.Call(t, "GET", preview, nil), 400, needed)
		expect(t, "unknown branch", headers(pat, "X-Trigger-Branch", "nope").Call(t, "GET", preview, nil), 404, `{"error":"Branch not found"}`)
		expect(t, "impossible branch", headers(pat, "X-Trigger-Branch", "a b").Call(t, "GET", preview, nil), 404, `{"error":"Branch not found"}`)

		key, user := headers(s.with(s.keys.SecretKeys.Preview), "X-Trigger-Branch", "b"), headers(pat, "X-Trigger-Branch", "b")
		const both = `{"variables":{"A":"own"},"parentVariables":{"A":"parent","B":"parent"},"isSecret":true}`
		expect(t, "import", key.Call(t, "POST", preview+"/import", both), 200, `{"success":true}`)
		expect(t, "import again", user.Call(t, "POST", preview+"/import", both), 400, `{"error":"*",
			"variableErrors":[{"key":"A","error":"*"},{"key":"B","error":"*"},{"key":"A","error":"*"}]}`)
		branch := body[[]struct{ Name, Value string }](t, user.Call(t, "GET", preview, nil))
		if len(branch) != 2 || branch[0].Name != "A" || branch[1].Name != "B" {
			t.Errorf("the branch has %v", branch)
		}
		env, err := s.auth.Environment(t.Context(), s.keys.SecretKeys.Preview, "b")
		if err != nil {
			t.Fatal(err)
		}
		sees := func(what, want string) {
			t.Helper()
			if got := fmt.Sprint(s.values(env.Env)); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		sees("the branch", "map[A:own B:parent]")
		expect(t, "update what is the parent's", user.Call(t, "PUT", preview+"/B", `{"value":"own"}`), 200, `{"success":true}`)
		expect(t, "it stays a secret", user.Call(t, "GET", preview+"/B", nil), 200, `{"name":"B","value":"<redacted>","isSecret":true}`)
		sees("after the update", "map[A:own B:own]")
		expect(t, "delete", key.Call(t, "DELETE", preview+"/A", nil), 200, `{"success":true}`)
		expect(t, "delete what is the parent's", key.Call(t, "DELETE", preview+"/A", nil), 404,
			`{"error":"Environment variable not found: the branch has it from its parent environment"}`)
		sees("after the deletion", "map[A:parent B:own]")

		dev := s.vars("dev")
		for _, branch := range []string{"default", "b"} {
			body[any](t, headers(pat, "X-Trigger-Branch", branch).Call(t, "POST", dev, `{"name":"D","value":"`+branch+`"}`))
		}
		expect(t, "default is the root", s.Call(t, "GET", dev+"/D", nil), 200, `{"name":"D","value":"default","isSecret":false}`)
		expect(t, "a branch of dev", headers(s.Client, "X-Trigger-Branch", "b").Call(t, "GET", dev+"/D", nil), 200, `{"name":"D","value":"b","isSecret":false}`)
	})
}

func TestWhoMayChangeEnvVars(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pat := s.with(s.keys.PersonalAccessToken)
	for _, c := range []struct{ slug, key string }{
		{"dev", s.keys.SecretKeys.Dev}, {"staging", s.keys.SecretKeys.Staging}, {"stg", s.keys.SecretKeys.Staging}, {"prod", s.keys.SecretKeys.Prod},
	} {
		expect(t, c.slug+" by user", pat.Call(t, "POST", s.vars(c.slug), `{"name":"A","value":"`+c.key+`"}`), 200, `{"success":true}`)
		expect(t, c.slug+" by key", s.with(c.key).Call(t, "GET", s.vars(c.slug)+"/A", nil), 200, `{"name":"A","value":"`+c.key+`","isSecret":false}`)
	}
	const project = `{"error":"Invalid project ref for this API key. Make sure you are using an API key associated with that project."}`
	const slug = `{"error":"Invalid environment slug for this API key. Make sure you are using an API key associated with that environment."}`
	calls := []struct{ method, path, body string }{
		{"GET", "", ""}, {"POST", "", `{"name":"A","value":"x"}`}, {"POST", "/import", `{"variables":{"A":"x"},"override":true}`},
		{"GET", "/A", ""}, {"PUT", "/A", `{"value":"x"}`}, {"POST", "/A", `{"value":"x"}`}, {"DELETE", "/A", ""},
	}
	unscoped, reader := s.scopedKey("read:runs"), s.scopedKey("read:envvars")
	for _, c := range calls {
		name := c.method + " " + c.path
		expect(t, name+" of another environment", s.Call(t, c.method, s.vars("prod")+c.path, c.body), 400, slug)
		expect(t, name+" of another project", s.Call(t, c.method, "/api/v1/projects/proj_other/envvars/dev"+c.path, c.body), 400, project)
		expect(t, name+" of a project of others", pat.Call(t, c.method, "/api/v1/projects/proj_other/envvars/dev"+c.path, c.body), 404, `{"error":"Project not found"}`)
		expect(t, name+" of no environment", pat.Call(t, c.method, s.vars("nope")+c.path, c.body), 404, `{"error":"Environment not found"}`)
		for what, client := range map[string]servertest.Client{
			"without a key": s.with(""), "with an unknown key": s.with("tr_dev_x"), "with an unknown token": s.with("tr_pat_x"), "with a public token": s.token("admin"),
		} {
			if got := client.Call(t, c.method, s.vars("dev")+c.path, c.body); got.Status != http.StatusUnauthorized {
				t.Errorf("%s %s: %d %s", name, what, got.Status, got.Body)
			}
		}
		if got := unscoped.Call(t, c.method, s.vars("dev")+c.path, c.body); got.Status != http.StatusForbidden {
			t.Errorf("%s with a key for something else: %d %s", name, got.Status, got.Body)
		}
		want := http.StatusForbidden
		if c.method == "GET" {
			want = http.StatusOK
		}
		if got := reader.Call(t, c.method, s.vars("dev")+c.path, c.body); got.Status != want {
			t.Errorf("%s with a key to read: %d %s", name, got.Status, got.Body)
		}
	}
	one := s.scopedKey("write:envvars:A", "read:envvars:A")
	expect(t, "its one variable", one.Call(t, "POST", s.vars("dev"), `{"name":"A","value":"one"}`), 200, `{"success":true}`)
	expect(t, "reads it", one.Call(t, "GET", s.vars("dev")+"/A", nil), 200, `{"name":"A","value":"one","isSecret":false}`)
	for _, got := range []servertest.Response{
		one.Call(t, "GET", s.vars("dev"), nil), one.Call(t, "POST", s.vars("dev"), `{"name":"B","value":"x"}`),
		one.Call(t, "POST", s.vars("dev")+"/import", `{"variables":{"A":"x","B":"x"},"override":true}`),
	} {
		if got.Status != http.StatusForbidden {
			t.Errorf("more than its one variable: %d %s", got.Status, got.Body)
		}
	}
	if got := s.values(s.env); fmt.Sprint(got) != "map[A:one]" {
		t.Errorf("at the end: %v", got)
	}
}

func TestRotateKey(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		at := "/api/v1/projects/" + s.keys.ProjectRef + "/dev/keys/rotate"
		pat := s.with(s.keys.PersonalAccessToken)
		type rotated struct {
			APIKey  string
			Expires time.Time `json:"previousKeyExpiresAt"`
		}
		status := func(c servertest.Client) int { return c.Call(t, "GET", "/api/v1/runs", nil).Status }
		old, token := s.Client, s.token("read:runs")
		first := body[rotated](t, pat.Call(t, "POST", at, nil))
		if left := time.Until(first.Expires); left < auth.RotationGrace-time.Minute || left > auth.RotationGrace {
			t.Errorf("the old key works for %s", left)
		}
		fresh := s.with(first.APIKey)
		for what, c := range map[string]servertest.Client{"old key": old, "its token": token, "new key": fresh, "new token": s.token("read:runs")} {
			if got := status(c); got != http.StatusOK {
				t.Errorf("%s in the grace: %d", what, got)
			}
		}
		second := body[rotated](t, pat.Call(t, "POST", at, `{"graceSeconds":0}`))
		for what, c := range map[string]servertest.Client{"oldest key": old, "its token": token, "old key": fresh} {
			if got := status(c); got != http.StatusUnauthorized {
				t.Errorf("%s without a grace: %d", what, got)
			}
		}
		if got := status(s.with(second.APIKey)); got != http.StatusOK {
			t.Errorf("the newest key: %d", got)
		}

		for _, bad := range []string{`{"graceSeconds":-1}`, `{"graceSeconds":2592001}`, `{"graceSeconds":1.5}`, `{"graceSeconds":"1"}`, `[]`} {
			if got := pat.Call(t, "POST", at, bad); got.Status != 400 || !strings.Contains(string(got.Body), "error") {
				t.Errorf("%s: %d %s", bad, got.Status, got.Body)
			}
		}
		expect(t, "another project", pat.Call(t, "POST", "/api/v1/projects/proj_other/dev/keys/rotate", nil), 404, `{"error":"Project not found"}`)
		expect(t, "no environment", pat.Call(t, "POST", "/api/v1/projects/"+s.keys.ProjectRef+"/nope/keys/rotate", nil), 404, `{"error":"Environment not found"}`)
		if got := s.with(second.APIKey).Call(t, "POST", at, nil); got.Status != http.StatusUnauthorized {
			t.Errorf("by the key itself: %d %s", got.Status, got.Body)
		}
	})
}
