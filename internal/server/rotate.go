package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/store"
	"sear/internal/tenant"
)

// How long a secret key works on after it was replaced: usually, and at most.
const (
	RotationGrace    = auth.RotationGrace
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

// RotateKey replaces the secret key of an environment. A server that runs on the data
// is asked to do it, for it notices at once, and with SQLite nobody else can write;
// where none answers the store is written directly.
func RotateKey(ctx context.Context, cfg Config, what Rotation, log *slog.Logger) (Rotated, error) {
	set, err := Keys(ctx, cfg)
	if err != nil {
		return Rotated{}, err
	}
	if what.Project == "" {
		what.Project = set.ProjectRef
	}
	unanswered := set.probe(ctx)
	if unanswered == nil {
		path := "/api/v1/projects/" + url.PathEscape(what.Project) + "/" + what.Env.Slug() + "/keys/rotate"
		var out Rotated
		err := set.call(ctx, http.MethodPost, path, map[string]int64{"graceSeconds": int64(what.Grace / time.Second)}, &out)
		return out, err
	}
	out, err := rotateInStore(ctx, cfg, what, log)
	if fault.Is(err, fault.Unavailable) {
		err = fmt.Errorf("a server runs on this data, which nobody else can write then, and it cannot be asked: %w", unanswered)
	}
	return out, err
}

// rotateInStore replaces a key where no server runs.
func rotateInStore(ctx context.Context, cfg Config, what Rotation, log *slog.Logger) (_ Rotated, err error) {
	sealer, err := newSealer(cfg)
	if err != nil {
		return Rotated{}, err
	}
	st, err := openStore(ctx, cfg, log)
	if err != nil {
		return Rotated{}, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
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

// answerTime is how long a server may take to show that it is there.
const answerTime = 5 * time.Second

// probe is nil when a server that knows these keys is where they lead to.
func (k KeySet) probe(ctx context.Context) error {
	if k.PersonalAccessToken == "" {
		return errors.New("the personal access token that came with the data was revoked")
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return k.call(ctx, http.MethodGet, "/api/v2/whoami", nil, nil)
}

// callTime is how long a command waits for the running server; one that is frozen must not
// freeze its administrator.
const callTime = 30 * time.Second

// call makes a request as the administrator and decodes the answer, which must be 200.
func (k KeySet) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return err
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
