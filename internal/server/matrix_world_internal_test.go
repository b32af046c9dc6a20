package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/id"
	"sear/internal/metrics"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
	"sear/internal/workerapi"
)

// Names of environments: whose things are in the paths, and of a credential that reaches all
// of its project.
const (
	target     = "prod"
	everywhere = "the project"
)

// world is a whole server with two organisations, in whose environments there is something of
// everything.
type world struct {
	t       *testing.T
	store   *store.Store
	engine  *engine.Engine
	auth    *auth.Auth
	router  chi.Routes
	workers chi.Routes // those of the worker protocol
	url     string
	keys    auth.Keys
	domains []*domain
}

// domain is an environment with its things.
type domain struct {
	name, key, project string
	env                *tenant.Environment
	mark               string            // in the payloads, outputs, values and names of its things
	ids, secrets       []string          // of its things, and its keys
	things             map[string]string // parameters of paths
}

const metricsToken = "the-token-of-the-metrics"

func newWorld(t *testing.T) *world {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(dir, "core.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := auth.NewSealer(make([]byte, auth.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auth.Bootstrap(t.Context(), st, sealer); err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.Open(filepath.Join(dir, "packets"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: st, engine: engine.New(st, engine.Options{Log: log}), auth: auth.New(st, sealer, log)}
	if w.keys, err = auth.ReadKeys(t.Context(), st, sealer); err != nil {
		t.Fatal(err)
	}
	h, err := newHandler(parts{store: st, engine: w.engine, auth: w.auth, blobs: blobs, metrics: metrics.New(st), metricsToken: metricsToken, log: log})
	if err != nil {
		t.Fatal(err)
	}
	workers := chi.NewRouter()
	workerapi.New(nil, nil, w.auth, nil, nil, log).Routes(workers)
	w.router, w.workers = h.Handler.(chi.Routes), workers
	h.serving.Store(true)
	site := httptest.NewServer(h)
	w.url = site.URL
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.engine.Run(ctx) }()
	t.Cleanup(func() {
		h.workers.Stop()
		site.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	w.settle()
	return w
}

// settle makes the environments: four of the first project, and one of another organisation.
func (w *world) settle() {
	k := w.keys.SecretKeys
	opened := w.must(header("Bearer "+w.keys.PersonalAccessToken), "POST", "/api/v1/projects/"+w.keys.ProjectRef+"/branches", `{"env":"preview","branch":"feat"}`)
	if opened == nil {
		w.t.Fatal("no branch")
	}
	for _, d := range []*domain{{name: target, key: k.Prod}, {name: "dev", key: k.Dev}, {name: "staging", key: k.Staging}, {name: "other", key: w.stranger()}} {
		p, err := w.auth.Environment(w.t.Context(), d.key, "")
		if err != nil {
			w.t.Fatal(err)
		}
		d.env, d.project = p.Env, p.Env.ProjectID
		d.mark = "MARK" + strings.ToUpper(d.name) + id.Random(id.Alnum, 12)
		d.ids, d.secrets, d.things = []string{p.Env.ID}, []string{d.key}, map[string]string{}
		w.domains = append(w.domains, d)
		w.furnish(d)
	}
}

// target is the environment whose things are in the paths.
func (w *world) target() *domain { return w.domains[0] }

func (w *world) domain(name string) *domain {
	return w.domains[slices.IndexFunc(w.domains, func(d *domain) bool { return d.name == name })]
}

// stranger makes a production environment in another organisation, and returns its key.
func (w *world) stranger() string {
	now := time.Now()
	org := tenant.Organization{ID: id.New(now), Slug: "other", Title: "Other", CreatedAt: now}
	project := tenant.Project{ID: id.New(now), OrgID: org.ID, Ref: "proj_stranger", Slug: "other", Name: "Other", CreatedAt: now}
	env := &tenant.Environment{ID: id.New(now), OrgID: org.ID, ProjectID: project.ID, Type: tenant.Production, ConcurrencyLimit: tenant.DefaultConcurrency, CreatedAt: now}
	w.change(func(tx *store.Tx) error {
		if err := tx.AddOrganization(org); err != nil {
			return err
		}
		if err := tx.AddProject(project); err != nil {
			return err
		}
		_, err := tx.AddEnvironment(env)
		return err
	})
	key, _, err := w.auth.RotateKey(w.t.Context(), env, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

func (w *world) change(fn func(tx *store.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// furnish gives an environment a worker and a variable, and makes its things.
func (w *world) furnish(d *domain) {
	w.t.Helper()
	_, err := w.engine.RegisterWorker(w.t.Context(), d.env, deploy.Manifest{ContentHash: "things", Tasks: []deploy.Task{
		{ID: "my-task", FilePath: "tasks.ts"}, {ID: "clock", FilePath: "tasks.ts", TriggerSource: "schedule"},
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, param := range []string{"{run}", "{schedule}", "{batch}", "{waitpoint}", "{deployment}", "{bulk}", "{credential}", "{error}", "{queue}", "{name}"} {
		w.make(d, param)
	}
	for _, v := range d.things {
		if _, internal, ok := strings.Cut(v, "_"); ok {
			d.ids = append(d.ids, internal)
		}
	}
}

// make makes a new thing for a parameter of paths, and what belongs to it.
func (w *world) make(d *domain, param string) {
	w.t.Helper()
	key, ref := header("Bearer "+d.key), d.env.Project.Ref
	made := func(path, body string) string {
		return w.must(key, "POST", path, body)["id"].(string)
	}
	first := func(path string) string {
		return w.must(key, "GET", path, "")["data"].([]any)[0].(map[string]any)["id"].(string)
	}
	switch param {
	case "{run}":
		d.things[param] = made("/api/v1/tasks/my-task/trigger", `{"payload":{"card":"`+d.mark+`"},"options":{"delay":"48h","metadata":{"m":"`+d.mark+`"},"tags":["shop","`+d.mark+`"]}}`)
		d.things["{span}"] = w.must(key, "GET", "/api/v1/runs/"+d.things[param]+"/trace", "")["trace"].(map[string]any)["rootSpan"].(map[string]any)["id"].(string)
		latest := w.must(key, "GET", "/engine/v1/dev/runs/"+d.things[param]+"/snapshots/latest", "")["execution"].(map[string]any)
		d.things["{snapshot}"] = latest["snapshot"].(map[string]any)["friendlyId"].(string)
		w.make(d, "*")
	case "*": // a packet whose path does not say whose it is
		d.things[param] = "trigger/packet_" + id.Random(id.Alnum, 21) + "/payload.json"
		made("/api/v1/tasks/my-task/trigger", `{"payload":"`+d.things[param]+`","options":{"delay":"48h","payloadType":"application/store"}}`)
	case "{batch}":
		d.things[param] = made("/api/v3/batches", `{"runCount":900}`)
	case "{waitpoint}":
		d.things[param] = made("/api/v1/waitpoints/tokens", `{"tags":["`+d.mark+`"]}`)
	case "{schedule}":
		d.things[param] = made("/api/v1/schedules", `{"task":"clock","cron":"0 0 1 1 *","externalId":"`+d.mark+`","deduplicationKey":"`+id.Random(id.Alnum, 8)+`"}`)
	case "{deployment}":
		d.things[param] = made("/api/v1/deployments", `{"contentHash":"`+id.Random(id.Alnum, 8)+`","type":"MANAGED"}`)
	case "{credential}":
		secret, err := w.auth.AddKey(w.t.Context(), d.env, "things", []string{"read:" + d.mark}, time.Time{})
		if err != nil {
			w.t.Fatal(err)
		}
		w.change(func(tx *store.Tx) error {
			k, _, err := tx.APIKeyByHash(hashed(secret), time.Now())
			d.things[param] = "key_" + k.ID
			return err
		})
	case "{bulk}":
		d.things[param] = made("/api/v1/bulk-actions", `{"action":"cancel","filter":{"tag":"none"},"name":"`+d.mark+`"}`)
	case "{queue}":
		d.things[param] = first("/api/v1/queues")
	case "{error}":
		w.fail(d)
		d.things[param] = first("/api/v1/errors")
	case "{name}":
		d.things[param] = "SECRET"
		w.must(key, "POST", "/api/v1/projects/"+ref+"/envvars/"+d.env.Type.Slug(), `{"name":"SECRET","value":"`+d.mark+`"}`)
	}
}

// fail makes a run of the environment that has failed.
func (w *world) fail(d *domain) {
	w.t.Helper()
	_, _, _, err := w.engine.TriggerBatch(w.t.Context(), d.env, engine.NewBatch{}, []engine.Item{{
		Trigger: engine.Trigger{Task: "my-task"}, Failed: &run.Error{Type: run.Internal, Code: run.CodeItemUntriggered, Message: d.mark},
	}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// answer is what came back.
type answer struct {
	path   string
	code   int
	waits  bool // it was accepted, and there was nothing to answer yet
	header http.Header
	body   []byte
}

// status is the answer's as the golden file has it.
func (a answer) status() string {
	if a.waits {
		return "waits"
	}
	return fmt.Sprint(a.code)
}

// text is all that an answer says, also in the tokens that come with it.
func (a answer) text() string {
	var b strings.Builder
	b.Write(a.body)
	for _, values := range a.header {
		for _, v := range values {
			b.WriteString("\n" + v)
		}
	}
	if parts := strings.Split(a.header.Get("X-Trigger-Jwt"), "."); len(parts) == 3 {
		claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
		b.Write(claims)
	}
	return b.String()
}

// patience is how long an answer may take: of routes that wait for something to happen, those
// that begin to wait have shown that they accept the credential.
func patience(method, path string) time.Duration {
	if method == http.MethodPost && path == "/engine/v1/dev/dequeue" || path == "/engine/v1/dev/presence" {
		return 150 * time.Millisecond
	}
	return 20 * time.Second
}

var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// call makes a request with the headers of a credential.
func (w *world) call(h http.Header, method, path, body string) answer {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience(method, path))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header = h.Clone()
	if strings.HasSuffix(path, "/items") {
		r.Header.Set("Content-Type", "application/x-ndjson")
	}
	if strings.HasPrefix(path, "/login") || strings.HasPrefix(path, "/account") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if method == http.MethodGet && path == "/socket.io/" {
		r.URL.RawQuery = "EIO=4&transport=websocket"
		for name, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
			r.Header.Set(name, v)
		}
	}
	got, err := client.Do(r)
	if err != nil {
		if ctx.Err() == nil {
			w.t.Errorf("%s %s: %v", method, path, err)
		}
		return answer{path: path, waits: true}
	}
	defer got.Body.Close()
	a := answer{path: path, code: got.StatusCode, header: got.Header}
	if a.code != http.StatusSwitchingProtocols {
		a.body, _ = io.ReadAll(got.Body) // a stream ends with the patience
	}
	return a
}

// must is a call that has to be answered well, with an object.
func (w *world) must(h http.Header, method, path, body string) map[string]any {
	w.t.Helper()
	got := w.call(h, method, path, body)
	var v map[string]any
	if got.code/100 != 2 || json.Unmarshal(got.body, &v) != nil {
		w.t.Fatalf("%s %s: %d %s", method, path, got.code, got.body)
	}
	return v
}

var parameter = regexp.MustCompile(`\{[a-z]+\}|\*`)

// try calls a route for the things of the target, and makes those anew that the call has used up.
func (w *world) try(c credential, r served) answer {
	w.t.Helper()
	d := w.target()
	var used []string
	path := parameter.ReplaceAllStringFunc(r.path, func(name string) string {
		if fixed, ok := w.fixed(r.path)[name]; ok {
			return fixed
		}
		v, ok := d.things[name]
		if !ok {
			w.t.Fatalf("%s: add a value for %s to world.make or world.fixed, one that the target has", r.path, name)
		}
		used = append(used, name)
		return v
	})
	method := r.method
	if method == "*" {
		method = http.MethodGet
	}
	got := w.call(c.headers(), method, path, strings.ReplaceAll(bodyFor[r.name()], "{deployment}", d.things["{deployment}"]))
	mine := c.env == target || c.env == everywhere
	if mine && got.code/100 == 2 && method != http.MethodGet && method != http.MethodOptions {
		for _, name := range used {
			w.make(d, name)
			if v, internal, ok := strings.Cut(d.things[name], "_"); ok && v != "" {
				d.ids = append(d.ids, internal)
			}
		}
	}
	return got
}

// fixed are the parameters that do not wear out.
func (w *world) fixed(path string) map[string]string {
	values := map[string]string{"{ref}": w.keys.ProjectRef, "{project}": w.keys.ProjectRef, "{env}": target, "{task}": "my-task", "{tag}": "current",
		"{key}": "unknown", "{kind}": "payload", "{hash}": "unknown", "{code}": "unknown"}
	if strings.HasPrefix(path, "/packets/") {
		values["{env}"] = w.target().env.ID
	}
	return values
}

// rows is a digest of what a credential must not change, by table: the rows of all environments
// but its own, and those of its own when it may do nothing.
func (w *world) rows(c credential) string {
	w.t.Helper()
	var out strings.Builder
	w.change(func(tx *store.Tx) error {
		out.Reset()
		tables, err := texts(tx, `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'env_id' WHERE m.type = 'table' ORDER BY 1`)
		if err != nil {
			return err
		}
		for _, d := range w.domains {
			if c.powers != none && (c.env == d.name || c.env == everywhere && d.project == w.target().project) {
				continue
			}
			for _, table := range tables {
				sum, err := digest(tx, table, d.env.ID)
				if err != nil {
					return err
				}
				fmt.Fprintf(&out, "%s of %s: %x\n", table, d.name, sum)
			}
		}
		return nil
	})
	return out.String()
}

// digest sums up the rows of a table that belong to an environment, but for when they were used.
func digest(tx *store.Tx, table, envID string) ([]byte, error) {
	names, err := texts(tx, `SELECT 'quote(' || name || ')' FROM pragma_table_info('`+table+`') WHERE name NOT LIKE '%used%' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(`SELECT `+strings.Join(names, `||','||`)+` FROM `+table+` WHERE env_id = $1 ORDER BY 1`, envID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	h := sha256.New()
	for rows.Next() {
		var row []byte
		if err := rows.Scan(&row); err != nil {
			return nil, err
		}
		h.Write(append(bytes.Clone(row), '\n'))
	}
	return h.Sum(nil)[:6], rows.Err()
}

// texts reads a query of one text column.
func texts(tx *store.Tx, query string) (list []string, err error) {
	rows, err := tx.Query(query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}
