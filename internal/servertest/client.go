package servertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// callTimeout is longer than any server lets a request wait.
const callTimeout = 30 * time.Second

// Client calls a server with one credential.
type Client struct {
	URL    string
	Key    string      // bearer token, "" for none
	Header http.Header // sent with each request; may be nil
}

// Response is an answer with its whole body.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// StatusError is an answer other than 200 where that was wanted.
type StatusError struct {
	Method, Path string
	Response
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: %d %s", e.Method, e.Path, e.Status, e.Body)
}

// Send makes a request and returns whatever the server answers. body is sent as it
// is when it is a string or bytes, as JSON otherwise, and not at all when it is nil.
// Like the official CLI, it does not say that JSON is JSON. What the contract has an
// operation for is compared with it: a [ContractError] comes together with the answer.
func (c Client) Send(ctx context.Context, method, path string, body any) (Response, error) {
	sent, err := encode(body)
	if err != nil {
		return Response{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(sent))
	if err != nil {
		return Response{}, err
	}
	for name, values := range c.Header {
		r.Header[name] = values
	}
	if c.Key != "" {
		r.Header.Set("Authorization", "Bearer "+c.Key)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return Response{}, err
	}
	defer answer.Body.Close()
	whole, err := io.ReadAll(answer.Body)
	got := Response{answer.StatusCode, answer.Header, whole}
	if err != nil {
		return got, err
	}
	return got, checkContract(r, sent, got)
}

func encode(body any) ([]byte, error) {
	switch body := body.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(body), nil
	case []byte:
		return body, nil
	}
	return json.Marshal(body)
}

// request makes a request that is to be answered 200, and decodes the answer.
func request[T any](ctx context.Context, c Client, method, path string, body any) (v T, err error) {
	answer, err := c.Send(ctx, method, path, body)
	if err != nil {
		return v, err
	}
	if answer.Status != http.StatusOK {
		return v, &StatusError{method, path, answer}
	}
	return v, json.Unmarshal(answer.Body, &v)
}

// The helpers below end the test when a request fails.

// Call makes a request that must be answered, with whatever status.
func (c Client) Call(t testing.TB, method, path string, body any) Response {
	t.Helper()
	answer, err := c.Send(t.Context(), method, path, body)
	var broken *ContractError
	if errors.As(err, &broken) {
		t.Error(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return answer
}

// Get makes a GET request that must be answered 200, and decodes the answer.
func Get[T any](t testing.TB, c Client, path string) T {
	t.Helper()
	v, err := request[T](t.Context(), c, http.MethodGet, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Post makes a POST request that must be answered 200, and decodes the answer.
func Post[T any](t testing.TB, c Client, path string, body any) T {
	t.Helper()
	v, err := request[T](t.Context(), c, http.MethodPost, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
