package rest

import "net/http"

// CORS answers preflight requests itself and lets any origin read the responses of
// next, including the headers that carry public tokens and say what is left of a limit: credentials are bearer
// tokens, which a foreign page does not have unless it was given one.
func CORS(next http.Handler) http.Handler {
	return cors(next, "x-trigger-jwt, x-trigger-jwt-claims, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset")
}

// CORSExposeAll is [CORS] for streams and shapes: a page may read every header.
func CORSExposeAll(next http.Handler) http.Handler { return cors(next, "*") }

func cors(next http.Handler, expose string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", expose)
		}
		if r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		preflight(w, r)
	})
}

func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "300")
	w.WriteHeader(http.StatusOK)
}
