package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"sear/internal/auth"
	"sear/internal/engine"
	"sear/internal/run"
	"sear/internal/servertest"
	"sear/internal/wire"
)

// pages are callers who may trigger my-task, alone and in batches, and read and change
// nothing: each must be led to nothing that another has made.
func (s *site) pages() map[string]servertest.Client {
	s.t.Helper()
	scopes := []string{"trigger:tasks:my-task", "batchTrigger:tasks"}
	return map[string]servertest.Client{
		"a public token":                      s.token(scopes...),
		"a public token that reads":           s.token(append(scopes, "read:runs")...),
		"a public token that writes":          s.token(append(scopes, "write:runs")...),
		"a public token for one use":          s.with(s.sign(auth.Grant{Scopes: scopes, OneTime: true})),
		"an additional key":                   s.scopedKey(scopes...),
		"an additional key for another thing": s.scopedKey(append(scopes, "read:tasks:other", "write:tasks:other")...),
	}
}

// victim triggers with the options as somebody else, and checks in the end that nothing came of
// what was done meanwhile with the same options: the run is as it was, and no answer has its id
// or a token that reads it.
func (s *site) victim(c servertest.Client, name, options string) (check func(got servertest.Response)) {
	s.t.Helper()
	friendly := runOf(s.t, c.Call(s.t, "POST", triggerPath, `{"payload":{"card":"4111"},"options":`+options+`}`))
	before := s.detail(s.env, friendly)
	return func(got servertest.Response) {
		s.t.Helper()
		if got.Status/100 != 2 || strings.Contains(string(got.Body), friendly) || strings.Contains(string(got.Body), `"isCached":true`) {
			s.t.Errorf("%s: the answer to another caller: %d %s", name, got.Status, got.Body)
		}
		if read := s.with(got.Header.Get("X-Trigger-Jwt")).Call(s.t, "GET", "/api/v3/runs/"+friendly, nil); read.Status != 403 {
			s.t.Errorf("%s: the token of that answer reads the run of another: %d %s", name, read.Status, read.Body)
		}
		after := s.detail(s.env, friendly)
		if after.Payload != before.Payload || !after.DelayUntil.Equal(before.DelayUntil) || after.Seq != before.Seq {
			s.t.Errorf("%s: the run of another has changed: %s until %s, was %s until %s", name,
				after.Payload.Data, after.DelayUntil, before.Payload.Data, before.DelayUntil)
		}
	}
}

// TestKeysOfOthersLeadNowhere: who may trigger, and not read and write runs, is led by no
// idempotency key, debounce key or request key to a run that somebody else has made, and
// changes none.
func TestKeysOfOthersLeadNowhere(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		others := map[string]servertest.Client{"the secret key": s.Client, "another public token": s.token("trigger:tasks:my-task", "x:y")}
		for other, theirs := range others {
			for page, mine := range s.pages() {
				for _, kind := range []string{
					`{"delay":"1h","idempotencyKey":%q}`,
					`{"delay":"1h","debounce":{"key":%q,"delay":"2h"}}`,
					`{"delay":"1h","debounce":{"key":%q,"delay":"2h","mode":"trailing"}}`,
				} {
					name := page + " with a key of " + other + " in " + kind
					options := fmt.Sprintf(kind, name)
					check := s.victim(theirs, name, options)
					if strings.Contains(page, "one use") {
						mine = s.with(s.sign(auth.Grant{Scopes: []string{"trigger:tasks:my-task", name}, OneTime: true}))
					}
					check(mine.Call(t, "POST", triggerPath, `{"payload":{"card":"mine"},"options":`+options+`}`))
				}
			}
		}
		request := func(c servertest.Client) servertest.Client {
			return headers(c, "X-Trigger-Request-Idempotency-Key", "call")
		}
		check := s.victim(request(s.Client), "a request key", `{"delay":"1h"}`)
		check(request(s.token("trigger:tasks:my-task")).Call(t, "POST", triggerPath, `{}`))
		check = s.victim(headers(s.Client, "Idempotency-Key", "in a header"), "a key in a header", `{"delay":"1h"}`)
		check(headers(s.token("trigger:tasks:my-task"), "Idempotency-Key", "in a header").Call(t, "POST", triggerPath, `{}`))
	})
}

// TestKeysOfOthersLeadNowhereInBatches: nor does a key of an item, in any form of a batch.
func TestKeysOfOthersLeadNowhereInBatches(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		for _, path := range []string{"/api/v1/tasks/batch", "/api/v2/tasks/batch", "/api/v1/tasks/my-task/batch", "/api/v3/batches"} {
			for kind, form := range map[string]string{
				"idempotency": `{"delay":"1h","idempotencyKey":%q}`, "trailing": `{"delay":"1h","debounce":{"key":%q,"delay":"2h","mode":"trailing"}}`,
			} {
				name := "an item's " + kind + " key by " + path
				options := fmt.Sprintf(form, name)
				check := s.victim(s.Client, name, options)
				item := `{"index":0,"task":"my-task","payload":{"card":"mine"},"options":` + options + `}`
				page := headers(s.token("batchTrigger:tasks"), "X-Trigger-Client", "browser")
				if path != "/api/v3/batches" {
					check(page.Call(t, "POST", path, `{"items":[`+item+`]}`))
					continue
				}
				made := page.Call(t, "POST", path, `{"runCount":1}`)
				if got := s.sendItems(s.with(made.Header.Get("X-Trigger-Jwt")), body[wire.CreatedBatch](t, made).ID, item+"\n"); got.Status != 200 {
					t.Errorf("%s: %d %s", name, got.Status, got.Body)
				}
				check(made)
				batch := body[wire.CreatedBatch](t, made).ID
				reads := s.with(made.Header.Get("X-Trigger-Jwt"))
				if d := s.batchRuns(batch)[0]; d.Payload.Data != `{"card":"mine"}` {
					t.Errorf("%s: the item is answered by a run with %s", name, d.Payload.Data)
				}
				if got := reads.Call(t, "GET", "/api/v2/batches/"+batch, nil); got.Status != 200 {
					t.Errorf("%s: the page's own batch: %d %s", name, got.Status, got.Body)
				}
			}
		}
	})
}

// TestBatchKeysOfOthersLeadNowhere: the key of a batch leads a page to no batch of another's,
// with no token that reads or fills it.
func TestBatchKeysOfOthersLeadNowhere(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		for _, header := range []string{"", "Idempotency-Key", "X-Trigger-Request-Idempotency-Key"} {
			for _, path := range []string{"/api/v3/batches", "/api/v1/tasks/batch", "/api/v2/tasks/batch", "/api/v1/tasks/my-task/batch"} {
				key := header + path
				wish := `{"items":[{"task":"my-task","options":{"delay":"1h"}}]}`
				call := func(c servertest.Client) (string, servertest.Client) {
					c = headers(c, "X-Trigger-Client", "browser")
					if header != "" {
						c = headers(c, header, key)
					}
					if path == "/api/v3/batches" {
						wish = fmt.Sprintf(`{"runCount":1,"idempotencyKey":%q}`, key)
					}
					got := c.Call(t, "POST", path, wish)
					b := body[struct{ ID, BatchID string }](t, got)
					return b.ID + b.BatchID, s.with(got.Header.Get("X-Trigger-Jwt"))
				}
				theirs, _ := call(s.Client)
				mine, token := call(s.token("batchTrigger:tasks"))
				if mine == theirs {
					t.Errorf("%s %s: a page is led to the batch of another", header, path)
				}
				batch := theirs[:strings.LastIndex(theirs, "batch_")]
				if batch == "" {
					batch = theirs
				}
				if got := token.Call(t, "GET", "/api/v2/batches/"+batch, nil); got.Status != 403 {
					t.Errorf("%s %s: and its token reads it: %d %s", header, path, got.Status, got.Body)
				}
			}
		}
	})
}

// TestKeysLeadBackToOwnRuns: the same credential finds with a key what it has made, and is given
// a token for it; whoever may read and write all runs shares the keys of the environment.
func TestKeysLeadBackToOwnRuns(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		for name, c := range map[string]servertest.Client{
			"a public token":                    s.token("trigger:tasks:my-task"),
			"an additional key":                 s.scopedKey("trigger:tasks:my-task"),
			"the secret key":                    s.Client,
			"an additional key for runs":        s.scopedKey("trigger:tasks", "read:runs", "write:runs"),
			"a public token that may do it all": s.token("admin"),
		} {
			for _, options := range []string{
				`{"delay":"1h","idempotencyKey":"mine"}`,
				`{"delay":"1h","debounce":{"key":"mine","delay":"2h","mode":"trailing"}}`,
			} {
				call := `{"payload":1,"options":` + options + `}`
				first := c.Call(t, "POST", triggerPath, call)
				again := c.Call(t, "POST", triggerPath, call)
				friendly := runOf(t, first)
				expect(t, name+" again", again, 200, `{"id":"`+friendly+`","isCached":true}`)
				if got := s.with(again.Header.Get("X-Trigger-Jwt")).Call(t, "GET", "/api/v3/runs/"+friendly, nil); got.Status != 200 {
					t.Errorf("%s: the token for its own run: %d %s", name, got.Status, got.Body)
				}
				if d := s.detail(s.env, friendly); d.Key.Key != "" && d.Key.Key != "mine" {
					t.Errorf("%s: the key is shown as %q", name, d.Key.Key)
				}
			}
		}
		shared := map[string]bool{}
		for _, c := range []servertest.Client{s.Client, s.scopedKey("trigger:tasks", "read:runs", "write:runs"), s.token("admin")} {
			shared[runOf(t, c.Call(t, "POST", triggerPath, `{"options":{"idempotencyKey":"mine","delay":"1h"}}`))] = true
		}
		if len(shared) != 1 {
			t.Errorf("who may read and write all runs finds %d for one key", len(shared))
		}
	})
}

// TestKeysInABatchBelongToWhoMadeIt: a page sends the items with the token that came with the
// batch; their keys are the page's.
func TestKeysInABatchBelongToWhoMadeIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	page := headers(s.token("batchTrigger:tasks", "trigger:tasks"), "X-Trigger-Client", "browser")
	mine := runOf(t, page.Call(t, "POST", triggerPath, `{"options":{"delay":"1h","idempotencyKey":"k"}}`))
	made := page.Call(t, "POST", "/api/v3/batches", `{"runCount":1}`)
	batch := body[wire.CreatedBatch](t, made).ID
	got := s.sendItems(s.with(made.Header.Get("X-Trigger-Jwt")), batch, `{"index":0,"task":"my-task","options":{"idempotencyKey":"k"}}`+"\n")
	if answered := s.runsOf(batch); got.Status != 200 || len(answered) != 1 || answered[0] != mine {
		t.Errorf("%d %s: the item is answered by %v, want %s", got.Status, got.Body, answered, mine)
	}
}

// TestResetReachesEveryKey: a reset frees a key whoever holds it, and no other.
func TestResetReachesEveryKey(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		page := s.token("trigger:tasks:my-task")
		call := func(c servertest.Client, key string) string {
			return runOf(t, c.Call(t, "POST", triggerPath, map[string]any{"options": map[string]string{"delay": "1h", "idempotencyKey": key}}))
		}
		keys := []string{"k", "k ", "k\x1fx", "ü", "k" + strings.Repeat("x", run.OwnerLen+1)}
		before := map[string][2]string{}
		for _, k := range keys {
			before[k] = [2]string{call(s.Client, k), call(page, k)}
		}
		for _, k := range []string{"k", "ü"} {
			if got := s.Call(t, "POST", "/api/v1/idempotencyKeys/"+url.PathEscape(k)+"/reset", `{"taskIdentifier":"my-task"}`); got.Status != 200 {
				t.Fatalf("%d %s", got.Status, got.Body)
			}
		}
		for _, k := range keys {
			after := [2]string{call(s.Client, k), call(page, k)}
			reset := k == "k" || k == "ü"
			if (after[0] != before[k][0]) != reset || (after[1] != before[k][1]) != reset {
				t.Errorf("key %q: %v, was %v", k, after, before[k])
			}
		}
	})
}

// stored is the body of a call whose payload is a packet that is there.
func stored(path string) string {
	return fmt.Sprintf(`{"payload":%q,"options":{"payloadType":"application/store"}}`, path)
}

// secrets are packets that are the business of whoever reads a run of the task secret, and
// that run: its payload, its output, and an output that is about to be.
func (s *site) secrets() (friendly string, paths map[string]string) {
	s.t.Helper()
	s.register("secret")
	payload := s.upload("trigger/packet_1/payload.json", run.Packet{Data: "PAYLOAD", Type: "text/plain"})
	friendly = runOf(s.t, s.Call(s.t, "POST", "/api/v1/tasks/secret/trigger", stored(payload)))
	output := s.upload(friendly+"-1/output.json", run.Packet{Data: "OUTPUT", Type: "text/plain"})
	s.complete(s.begin(), engine.Completion{Output: run.Packet{Data: output, Type: run.TypeStore}})
	return friendly, map[string]string{
		"payload": payload, "output": output, "next output": s.upload(friendly+"-2/output.json", run.Packet{Data: "OUTPUT"}),
		"unnamed": s.upload("trigger/packet_2/payload.json", run.Packet{Data: "PAYLOAD"}),
	}
}

// TestPacketIsAReferenceToWhoMayReadIt: a trigger, or an item of a batch in any form, whose
// payload is a packet that the caller may not read is refused, and makes no run.
func TestPacketIsAReferenceToWhoMayReadIt(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		friendly, paths := s.secrets()
		scopes := []string{"trigger:tasks:my-task", "batchTrigger:tasks:my-task", "read:tasks:my-task", "read:runs:run_other"}
		for name, c := range map[string]servertest.Client{"a public token": s.token(scopes...), "an additional key": s.scopedKey(scopes...)} {
			for what, path := range paths {
				item := `{"index":0,"task":"my-task",` + stored(path)[1:]
				answers := map[string]servertest.Response{"a trigger": c.Call(t, "POST", triggerPath, stored(path))}
				for _, route := range []string{"/api/v1/tasks/batch", "/api/v2/tasks/batch", "/api/v1/tasks/my-task/batch"} {
					answers[route] = c.Call(t, "POST", route, `{"items":[`+item+`]}`)
				}
				batch := body[wire.CreatedBatch](t, c.Call(t, "POST", "/api/v3/batches", `{"runCount":1,"taskIdentifiers":["my-task"]}`)).ID
				answers["items"] = s.sendItems(c, batch, item+"\n")
				for route, got := range answers {
					if got.Status != 403 {
						t.Errorf("%s names the %s of another's run in %s: %d %s", name, what, route, got.Status, got.Body)
					}
				}
			}
		}
		if made := s.list(s.Client, "/api/v1/runs", "filter[taskIdentifier]", "my-task"); len(made.Data) != 0 {
			t.Errorf("%d runs were made", len(made.Data))
		}
		reader := s.token("trigger:tasks:my-task", "read:runs:"+friendly)
		for what, path := range paths {
			want := 200
			if what == "unnamed" {
				want = 403
			}
			if got := reader.Call(t, "POST", triggerPath, stored(path)); got.Status != want {
				t.Errorf("who reads the run names its %s: %d %s, want %d", what, got.Status, got.Body, want)
			}
			if got := s.Call(t, "POST", triggerPath, stored(path)); got.Status != 200 {
				t.Errorf("the secret key names the %s: %d %s", what, got.Status, got.Body)
			}
		}
	})
}

// TestPacketIsReadByWhoReadsItsRun: by its path too.
func TestPacketIsReadByWhoReadsItsRun(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		friendly, paths := s.secrets()
		of := func(path string) string { return "/api/v1/packets/" + url.PathEscape(path) }
		refused := []servertest.Client{
			s.token(), s.scopedKey(), s.token("read:runs:run_other", "read:tags:x", "read:tasks:my-task", "read:packets", "read"),
			s.token("trigger:tasks"), s.token("write:runs"), s.token("read:runs:"), s.scopedKey("read:batch:batch_1"),
		}
		for what, path := range paths {
			for i, c := range refused {
				if got := c.Call(t, "GET", of(path), nil); got.Status != 403 {
					t.Errorf("refused %d reads the %s: %d %s", i, what, got.Status, got.Body)
				}
			}
			for i, c := range []servertest.Client{s.Client, s.token("read:runs"), s.scopedKey("admin")} {
				if got := c.Call(t, "GET", of(path), nil); got.Status != 200 {
					t.Errorf("reader of all runs %d and the %s: %d %s", i, what, got.Status, got.Body)
				}
			}
			for _, scope := range []string{"read:runs:" + friendly, "read:tasks:secret"} {
				want := 200
				if what == "unnamed" {
					want = 403
				}
				if got := s.token(scope).Call(t, "GET", of(path), nil); got.Status != want {
					t.Errorf("%s and the %s: %d %s, want %d", scope, what, got.Status, got.Body, want)
				}
			}
		}
		for _, path := range []string{"none", "run_none-1/output.json"} {
			if got := refused[2].Call(t, "GET", of(path), nil); got.Status != 403 {
				t.Errorf("%s, which is nobody's: %d %s", path, got.Status, got.Body)
			}
		}
		elsewhere, err := s.auth.PublicToken(t.Context(), s.prod, auth.Grant{Scopes: []string{"read:runs:" + friendly}, Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.with(elsewhere).Call(t, "GET", of(paths["output"]), nil); got.Status != 403 {
			t.Errorf("a token of another environment for the run: %d %s", got.Status, got.Body)
		}
	})
}
