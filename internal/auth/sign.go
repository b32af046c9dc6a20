package auth

import (
	"crypto/hmac"
	"encoding/hex"
	"net/url"
	"strconv"
	"time"

	"sear/internal/fault"
)

// Purposes of codes. A code made for one is worthless for another.
const (
	forWaitpoint = "waitpoint"
	forPath      = "path"
)

// WaitpointHash is the part of a waitpoint token's callback URL that proves the URL
// was made here. It depends on the server's key, not on the environment's, so URLs
// that were handed out survive a rotation of the latter.
func (a *Auth) WaitpointHash(envID, waitpointID string) string {
	return hex.EncodeToString(a.sealer.code(forWaitpoint, envID, waitpointID))
}

// CheckWaitpointHash reports whether hash is that of the waitpoint, in constant time.
func (a *Auth) CheckWaitpointHash(envID, waitpointID, hash string) bool {
	return equal(hash, a.sealer.code(forWaitpoint, envID, waitpointID))
}

// Query parameters of a signed path.
const (
	expiresParam   = "expires"
	signatureParam = "signature"
)

// SignPath returns the path with a query that permits one method on it until the given
// instant, whole seconds, without any other credential. path is in its escaped form.
func (a *Auth) SignPath(method, path string, expires time.Time) string {
	until := strconv.FormatInt(expires.Unix(), 10)
	q := url.Values{expiresParam: {until}, signatureParam: {hex.EncodeToString(a.sealer.code(forPath, method, path, until))}}
	return path + "?" + q.Encode()
}

// CheckPath checks a request against what SignPath made.
func (a *Auth) CheckPath(method, path string, query url.Values) error {
	until := query.Get(expiresParam)
	if !equal(query.Get(signatureParam), a.sealer.code(forPath, method, path, until)) {
		return fault.New(fault.Forbidden, "The signature of this URL is not valid")
	}
	sec, err := strconv.ParseInt(until, 10, 64)
	if err != nil {
		return fault.Wrap(fault.Forbidden, err, "The signature of this URL is not valid")
	}
	if !time.Now().Before(time.Unix(sec, 0)) {
		return fault.New(fault.Forbidden, "This URL has expired")
	}
	return nil
}

// equal compares a code in hex with the right one in constant time.
func equal(got string, want []byte) bool {
	code, err := hex.DecodeString(got)
	return err == nil && hmac.Equal(code, want)
}
