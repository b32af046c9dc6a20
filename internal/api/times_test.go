package api_test

import (
	"net/url"
	"testing"
	"time"

	"sear/internal/run"
)

const notADuration = ". Give a duration such as 30s, 1h30m or 2w"

// TestTimesNotUnderstoodMakeNothing: a time that nobody can read is refused with its text and
// its field, and is neither now nor never.
func TestTimesNotUnderstoodMakeNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for field, text := range map[string]string{"delay": "10 minutes", "ttl": "for ever", "idempotencyKeyTTL": "1y"} {
		want := "Invalid " + field + ": " + text + notADuration
		if field == "delay" {
			want += ", or a date such as 2036-12-24T18:00:00Z"
		}
		expect(t, "trigger", s.Call(t, "POST", triggerPath, `{"options":{"idempotencyKey":"k","`+field+`":"`+text+`"}}`), 422, `{"error":"`+want+`"}`)
		if page := s.list(s.Client, "/api/v1/runs"); len(page.Data) != 0 {
			t.Fatalf("%s made %v", field, page.ids())
		}
	}
	expect(t, "header", headers(s.Client, "Idempotency-Key", "k", "Idempotency-Key-TTL", "soon").Call(t, "POST", triggerPath, `{}`), 400,
		`{"error":"Headers Error","details":[{"code":"custom","message":"Invalid idempotency-key-ttl: soon`+notADuration+`","path":["idempotency-key-ttl"]}]}`)
	expect(t, "token", s.Call(t, "POST", tokensPath, `{"idempotencyKey":"k","idempotencyKeyTTL":"soon"}`), 422,
		`{"error":"Invalid idempotencyKeyTTL: soon`+notADuration+`"}`)
	if page := s.list(s.Client, "/api/v1/runs"); len(page.Data) != 0 {
		t.Errorf("made %v", page.ids())
	}

	made := s.trigger(`{"options":{"delay":"1h"}}`)
	expect(t, "replay", s.Call(t, "POST", action(made, "replay"), `{"delay":"in an hour"}`), 400,
		`{"error":"Invalid delay: in an hour`+notADuration+`, or a date such as 2036-12-24T18:00:00Z"}`)
	for _, list := range []struct {
		path, parameter string
		status          int
	}{
		{"/api/v1/runs", "filter[createdAt][period]", 400}, {tokensPath, "filter[createdAt][period]", 422}, {"/api/v1/errors", "filter[period]", 400},
	} {
		expect(t, list.path, s.Call(t, "GET", list.path+"?"+url.QueryEscape(list.parameter)+"=today", nil), list.status,
			`{"error":"Query Error","details":[{"code":"custom","message":"Invalid period: today","path":["`+list.parameter+`"]}]}`)
	}
}

// TestDelaysThatNodeReads: what other languages and people write is a delay here as well.
func TestDelaysThatNodeReads(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := time.Date(2036, 11, 30, 9, 0, 0, 0, time.UTC)
	for _, text := range []string{
		"2036-11-30T10:00:00+0100", "2036-11-30 10:00:00 +0100", "Sun, 30 Nov 2036 10:00:00 +0100", "30 Nov 2036 9:00", "2036/11/30 9:00:00",
		"11/30/2036 9:00 AM", "Sun Nov 30 2036 10:00:00 GMT+0100 (CET)", "+002036-11-30T09:00:00Z",
	} {
		if d := s.detail(s.env, s.trigger(`{"options":{"delay":"`+text+`"}}`)); d.Status != run.StatusDelayed || !d.DelayUntil.Equal(want) {
			t.Errorf("%s: %s until %v", text, d.Status, d.DelayUntil)
		}
	}
	if d := s.detail(s.env, s.trigger(`{"options":{"delay":"99999d"}}`)); d.Status != run.StatusDelayed || d.DelayUntil.Before(time.Now().AddDate(99, 0, 0)) {
		t.Errorf("99999d: %s until %v", d.Status, d.DelayUntil)
	}
	far := s.Call(t, "GET", "/api/v3/runs/"+s.trigger(`{"options":{"delay":"99999"}}`), nil)
	if got := body[struct{ Status, DelayedUntil string }](t, far); got.Status != "DELAYED" || got.DelayedUntil != "+099999-01-01T00:00:00.000Z" {
		t.Errorf("the year 99999: %s until %s", got.Status, got.DelayedUntil)
	}
}
