package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"sear/internal/auth"
	"sear/internal/store"
	"sear/internal/tenant"
)

// How long a secret key works on after it was replaced: usually, and at most.
const (
	RotationGrace = auth.RotationGrace
	//limit:inside the same as that of package auth
	MaxRotationGrace = auth.MaxRotationGrace
)

// Rotation says which secret key is to be replaced.
type Rotation struct {
	Project string // its reference; "" for the first project
	Env     tenant.EnvType
	Grace   time.Duration // how long the old key works on, in whole seconds
}

// Rotated is the new key of an environment.
type Rotated struct {
	APIKey  string    `json:"apiKey"`
	Expires time.Time `json:"previousKeyExpiresAt"`
}

// RotateKey replaces the secret key of an environment. A server that runs on the store is
// asked to do it, for it notices at once; where there is none the store is written directly.
func RotateKey(ctx context.Context, cfg Config, what Rotation, log *slog.Logger) (out Rotated, err error) {
	ask := func(set KeySet) error {
		project := cmp.Or(what.Project, set.ProjectRef)
		path := "/api/v1/projects/" + url.PathEscape(project) + "/" + what.Env.Slug() + "/keys/rotate"
		return set.call(ctx, http.MethodPost, path, map[string]int64{"graceSeconds": int64(what.Grace / time.Second)}, &out)
	}
	err = there(ctx, cfg, log, ask, func(st *store.Store) error {
		out, err = rotateIn(ctx, cfg, st, what, log)
		return err
	})
	return out, err
}

// rotateIn replaces a key in a store that no server runs on.
func rotateIn(ctx context.Context, cfg Config, st *store.Store, what Rotation, log *slog.Logger) (Rotated, error) {
	sealer, err := sealerOf(ctx, cfg, st)
	if err != nil {
		return Rotated{}, err
	}
	if what.Project == "" {
		keys, err := auth.ReadKeys(ctx, st, sealer)
		if err != nil {
			return Rotated{}, err
		}
		what.Project = keys.ProjectRef
	}
	var env *tenant.Environment
	err = st.View(ctx, func(tx *store.Tx) error {
		p, _, err := tx.ProjectByRef(what.Project)
		if err != nil {
			return err
		}
		env, err = tx.RootEnvironment(p.ID, what.Env)
		return err
	})
	if err != nil {
		return Rotated{}, err
	}
	key, until, err := auth.New(st, sealer, log).RotateKey(ctx, env, what.Grace)
	return Rotated{key, until.UTC()}, err
}

// callTime is how long a command waits for the running server; one that is frozen must not
// freeze its administrator.
const callTime = 30 * time.Second

// call makes a request as the administrator and decodes the answer, which must be 200.
func (k KeySet) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var body []byte // none for nothing
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, k.APIURL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+k.PersonalAccessToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var said struct{ Error string }
		_ = json.NewDecoder(res.Body).Decode(&said)
		return fmt.Errorf("the server at %s answers %s: %s", k.APIURL, res.Status, said.Error)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(out)
}
