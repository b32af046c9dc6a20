package auth

import (
	"net/http"
	"strings"
)

// Bearer is the credential of a request, "" when there is none that could be one. It is the
// only reader of the header: two that trim or compare differently would know one credential
// under two names. The scheme is read in any case (RFC 9110, section 11.1), spaces and tabs
// around the credential do not count, and any other character that [IsToken] does not allow
// makes it none, as does a second header.
func Bearer(r *http.Request) string {
	lines := r.Header.Values("Authorization")
	if len(lines) != 1 {
		return ""
	}
	line := strings.Trim(lines[0], blanks)
	end := strings.IndexAny(line, blanks)
	if end < 0 || !strings.EqualFold(line[:end], "Bearer") {
		return ""
	}
	credential := strings.Trim(line[end:], blanks)
	if !IsToken(credential) {
		return ""
	}
	return credential
}

const blanks = " \t"

// IsToken reports whether a text can be sent as a bearer credential: it is a token68 of RFC
// 9110, letters, digits and -._~+/ with any number of = at the end.
func IsToken(text string) bool {
	text = strings.TrimRight(text, "=")
	for i := range len(text) {
		c := text[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("-._~+/", c) < 0 {
			return false
		}
	}
	return text != ""
}
