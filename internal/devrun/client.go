package devrun

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// apiVersion selects the status names that the current SDK knows.
const apiVersion = "2025-07-16"

// pollInterval is short because the server is near and the run may take no longer than this.
const pollInterval = 200 * time.Millisecond

// client calls the few routes that sear dev needs.
type client struct {
	url  string
	keys Keys
}

// checkToken fails when the server does not know the credentials: then it belongs to another
// data directory, and the CLI would only say that one has to log in.
func (c client) checkToken(ctx context.Context) error {
	err := c.do(ctx, http.MethodGet, "/api/v2/whoami", c.keys.AccessToken, nil, nil)
	if e := (*statusError)(nil); errors.As(err, &e) && e.status == http.StatusUnauthorized {
		return fmt.Errorf("the server at %s has other data: name its directory with --data or its database with --database-url, or start another one with --addr", c.url)
	}
	return err
}

// trigger creates a run of task and returns its id. An empty payload sends none.
func (c client) trigger(ctx context.Context, task string, payload json.RawMessage) (string, error) {
	body := struct {
		Payload json.RawMessage `json:"payload,omitempty"`
		Options struct{}        `json:"options"`
	}{Payload: payload}
	var made struct {
		ID string `json:"id"`
	}
	path := "/api/v1/tasks/" + url.PathEscape(task) + "/trigger"
	if err := c.do(ctx, http.MethodPost, path, c.keys.SecretKey, body, &made); err != nil {
		return "", fmt.Errorf("trigger %s: %w", task, err)
	}
	return made.ID, nil
}

// wait polls the run until it is completed, in whichever way. It has no limit of its own: the
// user has, and the worker's end ends ctx.
func (c client) wait(ctx context.Context, id string) (run, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()

	for {
		var r run
		if err := c.do(ctx, http.MethodGet, "/api/v3/runs/"+url.PathEscape(id), c.keys.SecretKey, nil, &r); err != nil {
			return run{}, fmt.Errorf("retrieve %s: %w", id, err)
		}
		if r.Completed {
			return r, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return run{}, ctx.Err()
		}
	}
}

// statusError is an answer other than 200.
type statusError struct {
	status  int
	message string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the server answered %d: %s", e.status, e.message)
}

// do sends body as JSON, if not nil, and decodes the answer into result, if not nil.
func (c client) do(ctx context.Context, method, path, key string, body, result any) error {
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, &sent)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("x-trigger-api-version", apiVersion)

	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return &statusError{status: res.StatusCode, message: errorText(got)}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(got, result)
}

// errorText is the message of an error answer, or the answer itself where there is none.
func errorText(body []byte) string {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &answer) == nil && answer.Error != "" {
		return answer.Error
	}
	return string(bytes.TrimSpace(body))
}
