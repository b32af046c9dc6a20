package auth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/store"
	"sear/internal/tenant"
)

// open sends a request through Require and returns its context, as what stays open has it.
func (w *world) open(t *testing.T, header http.Header, classes ...auth.Class) context.Context {
	t.Helper()
	var ctx context.Context
	h := w.Require(classes...)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() }))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header = header
	rec := httptest.NewRecorder()
	if h.ServeHTTP(rec, r); ctx == nil {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return ctx
}

// TestWhatIsOpenEndsWithItsCredential: of each class, and however it ends.
func TestWhatIsOpenEndsWithItsCredential(t *testing.T) {
	t.Parallel()
	const at = time.Minute // when the credential ends
	everything := []auth.Class{auth.SecretKey, auth.ScopedKey, auth.PublicJWT, auth.PAT}
	additional := func(t *testing.T, w *world, expires time.Time) string {
		t.Helper()
		key, err := w.AddKey(t.Context(), w.env(t, tenant.Development), "ci", []string{"read:runs"}, expires)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	rotate := func(t *testing.T, w *world, grace time.Duration) {
		t.Helper()
		if _, _, err := w.RotateKey(t.Context(), w.env(t, tenant.Development), grace); err != nil {
			t.Fatal(err)
		}
	}
	sign := func(t *testing.T, w *world, ttl time.Duration) string {
		t.Helper()
		token, err := w.PublicToken(t.Context(), w.env(t, tenant.Development), auth.Grant{Expires: time.Now().Add(ttl)})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, c := range map[string]struct {
		open func(t *testing.T, w *world) http.Header
		end  func(t *testing.T, w *world) // after at
		late time.Duration                // how much later it may be noticed
	}{
		"a key is replaced": {
			func(_ *testing.T, w *world) http.Header { return bearer(w.keys.SecretKeys.Dev) },
			func(t *testing.T, w *world) { rotate(t, w, 0) }, 0,
		},
		"a key is replaced, with a grace": {
			func(t *testing.T, w *world) http.Header {
				time.AfterFunc(at/2, func() { rotate(t, w, at/2) })
				return bearer(w.keys.SecretKeys.Dev)
			}, nil, 0,
		},
		"an additional key expires": {
			func(t *testing.T, w *world) http.Header { return bearer(additional(t, w, time.Now().Add(at))) }, nil, 0,
		},
		"an additional key is ended": {
			func(t *testing.T, w *world) http.Header { return bearer(additional(t, w, time.Time{})) },
			func(t *testing.T, w *world) {
				w.update(t, func(tx *store.Tx) error {
					k, _, err := tx.APIKeyByHash(w.hash, time.Now())
					if err != nil {
						return err
					}
					return tx.ExpireAPIKey(k.ID, time.Now())
				})
			}, 0,
		},
		"a public token expires": {
			func(t *testing.T, w *world) http.Header { return bearer(sign(t, w, at)) }, nil, 0,
		},
		"the key that signed a public token is replaced": {
			func(t *testing.T, w *world) http.Header { return bearer(sign(t, w, time.Hour)) },
			func(t *testing.T, w *world) { rotate(t, w, 0) }, 0,
		},
		"the grace of the key that signed a public token": {
			func(t *testing.T, w *world) http.Header {
				token := sign(t, w, time.Hour)
				rotate(t, w, at)
				return bearer(token)
			}, nil, 0,
		},
		"a personal token is revoked": {
			func(_ *testing.T, w *world) http.Header { return bearer(w.keys.PersonalAccessToken) },
			func(t *testing.T, w *world) {
				w.update(t, func(tx *store.Tx) error {
					p, err := tx.ShowablePAT()
					if err != nil {
						return err
					}
					return tx.RevokePAT(p.ID, time.Now())
				})
			}, auth.LookAgain,
		},
		"a branch is archived": {
			func(t *testing.T, w *world) http.Header {
				w.branch(t, w.env(t, tenant.Development), "x")
				h := bearer(w.keys.SecretKeys.Dev)
				h.Set(auth.BranchHeader, "x")
				return h
			},
			func(t *testing.T, w *world) {
				w.update(t, func(tx *store.Tx) error {
					b, err := tx.Branch(w.env(t, tenant.Development).ID, "x")
					if err != nil {
						return err
					}
					return tx.ArchiveBranch(b.ID, time.Now())
				})
			}, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := setup(t)
				header := c.open(t, w)
				begin := time.Now()
				ctx := w.open(t, header, everything...)
				w.hash = auth.From(ctx).Credential
				watched, stop := w.Watch(ctx)
				defer stop()
				time.Sleep(at - time.Second)
				synctest.Wait()
				if err := watched.Err(); err != nil {
					t.Fatalf("ended before its time: %v", context.Cause(watched))
				}
				if err := w.Check(ctx); err != nil {
					t.Errorf("refused before its time: %v", err)
				}
				time.Sleep(time.Second)
				if c.end != nil {
					c.end(t, w)
					if err := w.Check(ctx); !fault.Is(err, fault.Unauthorized) {
						t.Errorf("a moment after: %v", err)
					}
				}
				<-watched.Done()
				if late := time.Since(begin) - at; late < 0 || late > c.late+2*time.Second { // a token's times are whole seconds
					t.Errorf("noticed %s after", late)
				}
				if err := auth.Ended(watched); !fault.Is(err, fault.Unauthorized) {
					t.Errorf("the reason is %v", context.Cause(watched))
				}
			})
		})
	}
}

// TestWatchEndsWithoutACredentialsHelp: with its parent, and when it is stopped; neither is
// the end of a credential.
func TestWatchEndsWithoutACredentialsHelp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		parent, cancel := context.WithCancel(w.open(t, bearer(w.keys.SecretKeys.Dev), auth.SecretKey))
		first, stop := w.Watch(parent)
		stop()
		second, stop := w.Watch(parent)
		defer stop()
		anonymous, stop := w.Watch(t.Context())
		time.Sleep(time.Hour)
		if first.Err() == nil || second.Err() != nil || anonymous.Err() != nil {
			t.Errorf("stopped %v, open %v, anonymous %v", first.Err(), second.Err(), anonymous.Err())
		}
		cancel()
		stop()
		<-second.Done()
		<-anonymous.Done()
		for _, ctx := range []context.Context{first, second, anonymous} {
			if err := auth.Ended(ctx); err != nil {
				t.Errorf("ended as if by its credential: %v", err)
			}
		}
		if err := w.Check(t.Context()); err != nil {
			t.Errorf("nobody is refused: %v", err)
		}
	})
}
