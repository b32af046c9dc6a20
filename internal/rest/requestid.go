package rest

import (
	"crypto/rand"
	"net/http"
)

const idHeader = "X-Request-Id"

// RequestID is the id under which a request appears in the log: the one the client
// sent in `x-request-id` or, once [Wrap] or [WriteError] has seen the request, a
// random one. The response carries it too.
func RequestID(r *http.Request) string { return r.Header.Get(idHeader) }

// ensureID keeps a usable id of the client and mints one otherwise. It lives in the
// request's header, which costs no copy of the request as a context value would.
func ensureID(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get(idHeader)
	if !usableID(id) {
		id = rand.Text()
		r.Header.Set(idHeader, id)
	}
	w.Header().Set(idHeader, id)
}

// usableID bounds what a client can write into our log.
func usableID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}
