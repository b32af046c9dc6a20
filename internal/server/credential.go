package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"sear/internal/api"
	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/store"
)

// Credentials lists the administrator's tokens and sessions, and all keys, as GET
// /api/v1/credentials does. It reads the store alone: the server may be running or not.
func Credentials(ctx context.Context, cfg Config) ([]api.Credential, error) {
	st, err := store.Reader(ctx, cfg.databaseURL())
	if err != nil {
		return nil, err
	}
	defer st.Close()
	userID, err := auth.Administrator(ctx, st)
	if err != nil {
		return nil, err
	}
	var out []api.Credential
	err = st.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Credentials(userID, time.Now())
		out = api.Credentials(all)
		return err
	})
	return out, err
}

// Replaced is what a credential was replaced with.
type Replaced struct {
	Credential string    `json:"credential"`
	Expires    time.Time `json:"previousExpiresAt"` // until when the old one works
}

// EndCredential ends a token, a session or an additional key, by the id under which it is listed.
func EndCredential(ctx context.Context, cfg Config, id string, log *slog.Logger) error {
	return asAdministrator(ctx, cfg, log,
		func(set KeySet) error {
			return set.call(ctx, http.MethodDelete, "/api/v1/credentials/"+url.PathEscape(id), nil, nil)
		},
		func(a *auth.Auth, userID string) error { return a.EndCredential(ctx, userID, id) })
}

// EndAllCredentials ends all of the administrator's tokens and sessions, and makes another token
// for `sear keys` to print.
func EndAllCredentials(ctx context.Context, cfg Config, log *slog.Logger) (ended int64, err error) {
	err = asAdministrator(ctx, cfg, log,
		func(set KeySet) error {
			var out struct{ Ended int64 }
			err := set.call(ctx, http.MethodDelete, "/api/v1/credentials", nil, &out)
			ended = out.Ended
			return err
		},
		func(a *auth.Auth, userID string) (err error) { ended, err = a.EndAll(ctx, userID); return err })
	return ended, err
}

// ReplaceCredential makes a new token or additional key in the place of another.
func ReplaceCredential(ctx context.Context, cfg Config, id string, grace time.Duration, log *slog.Logger) (out Replaced, err error) {
	err = asAdministrator(ctx, cfg, log,
		func(set KeySet) error {
			body := map[string]int64{"graceSeconds": int64(grace / time.Second)}
			return set.call(ctx, http.MethodPost, "/api/v1/credentials/"+url.PathEscape(id)+"/replace", body, &out)
		},
		func(a *auth.Auth, userID string) (err error) {
			out.Credential, out.Expires, err = a.ReplaceCredential(ctx, userID, id, grace)
			return err
		})
	return out, err
}

// ResetAdmin gives the administrator a new password and ends the sessions of the old one.
func ResetAdmin(ctx context.Context, cfg Config, log *slog.Logger) (admin auth.Admin, err error) {
	err = asAdministrator(ctx, cfg, log,
		func(set KeySet) error {
			return set.call(ctx, http.MethodPost, "/api/v1/account/password/reset", nil, &admin)
		},
		func(a *auth.Auth, userID string) (err error) { admin, err = a.ResetPassword(ctx, userID); return err })
	return admin, err
}

// asAdministrator asks the server that runs on a store, or does the same in the store where
// there is none.
func asAdministrator(ctx context.Context, cfg Config, log *slog.Logger, ask func(set KeySet) error, do func(a *auth.Auth, userID string) error) error {
	return there(ctx, cfg, log, ask, func(st *store.Store) error {
		sealer, err := sealerOf(ctx, cfg, st)
		if err != nil {
			return err
		}
		userID, err := auth.Administrator(ctx, st)
		if fault.Is(err, fault.NotFound) {
			return fault.Wrap(fault.NotFound, err, "This store has no administrator: run `sear serve` first")
		}
		if err != nil {
			return err
		}
		return do(auth.New(st, sealer, log), userID)
	})
}
