package auth_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sear/internal/auth"
	"sear/internal/store"
)

// TestUseIsNoted: the list of credentials says when each was last used, to the minute, and those
// that were not used say so.
func TestUseIsNoted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		admin, err := auth.Administrator(t.Context(), w.store)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		if _, err := w.Environment(t.Context(), w.keys.SecretKeys.Prod, ""); err != nil {
			t.Fatal(err)
		}
		session, err := w.SignIn(t.Context(), "", "", w.keys.PersonalAccessToken)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		time.Sleep(61 * time.Second)
		if _, err := w.SessionUser(t.Context(), session); err != nil {
			t.Fatal(err)
		}
		stop() // writes what was noted since
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		all, err := w.Credentials(t.Context(), admin)
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, c := range all {
			want := time.Time{}
			switch {
			case c.Kind == store.CredentialSession:
				want = at.Add(61 * time.Second)
			case c.Kind == store.CredentialToken, c.Env.Slug() == "prod":
				want = at
			}
			if !want.IsZero() {
				seen++
			}
			if off := c.LastUsedAt.Sub(want); off < -time.Millisecond || off > time.Millisecond {
				t.Errorf("%s %s: last used %s, want %s", c.Kind, c.Name, c.LastUsedAt, want)
			}
		}
		if seen != 3 {
			t.Errorf("%d of them were used: %+v", seen, all)
		}
	})
}
