package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/rest"
)

// maxTokenTTL bounds the life of a public token that the server signs.
//
//limit:access Life of a public token that the server signs |  | 400 Expiration time cannot exceed 30 days
const maxTokenTTL = 30 * 24 * time.Hour

// jwtClaims serves POST /api/v1/auth/jwt/claims: what a client that signs public
// tokens itself must put into them.
func (a *API) jwtClaims(w http.ResponseWriter, r *http.Request) error {
	return rest.JSON(w, http.StatusOK, auth.ClaimsToSign(auth.From(r.Context()).Env))
}

type tokenOnly struct {
	Token string `json:"token"`
}

// publicTokenRequest asks for a public token, on behalf of a client whose key cannot
// sign one.
type publicTokenRequest struct {
	Scopes   []string        `json:"scopes"`
	Expires  json.RawMessage `json:"expirationTime"`
	OneTime  bool            `json:"oneTimeUse"`
	Realtime struct {
		SkipColumns []string `json:"skipColumns"`
	} `json:"realtime"`
}

// Validate asks for at least one scope: a token without can do nothing.
func (p publicTokenRequest) Validate() error {
	var problems rest.Problems
	if len(p.Scopes) == 0 {
		problems.Add("scopes", "Array must contain at least 1 element(s)")
	}
	return problems.Err()
}

// publicToken serves POST /api/v1/auth/public-tokens.
func (a *API) publicToken(w http.ResponseWriter, r *http.Request) error {
	req, err := rest.Decode[publicTokenRequest](r, accountBody)
	if err != nil {
		return err
	}
	return a.signToken(w, r, req.Expires, auth.Grant{
		Scopes: req.Scopes, OneTime: req.OneTime, SkipColumns: req.Realtime.SkipColumns,
	})
}

// jwtRequest is the older form of publicTokenRequest.
type jwtRequest struct {
	Claims struct {
		Scopes []string `json:"scopes"`
	} `json:"claims"`
	Expires json.RawMessage `json:"expirationTime"`
}

// jwt serves POST /api/v1/auth/jwt.
func (a *API) jwt(w http.ResponseWriter, r *http.Request) error {
	req, err := rest.Decode[jwtRequest](r, accountBody, rest.AllowEmpty)
	if err != nil {
		return err
	}
	return a.signToken(w, r, req.Expires, auth.Grant{Scopes: req.Claims.Scopes})
}

// signToken answers with a token that grants no more than the caller may do.
func (a *API) signToken(w http.ResponseWriter, r *http.Request, expires json.RawMessage, g auth.Grant) error {
	p := auth.From(r.Context())
	var denied []string
	for _, s := range g.Scopes {
		if !p.MayGrant(s) {
			denied = append(denied, s)
		}
	}
	if denied != nil {
		err := fault.New(fault.Forbidden, "Requested scopes exceed the API key's access").WithCode("scopes_exceed_key_access")
		return rest.WithField(err, "deniedScopes", denied)
	}
	var err error
	if g.Expires, err = parseExpiration(expires, time.Now()); err != nil {
		return err
	}
	g.Expires = p.Bound(g.Expires)
	token, err := a.auth.PublicToken(r.Context(), p.Env, g)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, tokenOnly{token})
}

// parseExpiration reads when a token is to end: a number of seconds since 1970, or a
// span such as 15m. Nothing is the default life.
func parseExpiration(raw json.RawMessage, now time.Time) (time.Time, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return now.Add(auth.DefaultTokenTTL), nil
	}
	seconds, ok := expirationSeconds(raw, now)
	switch {
	case !ok:
		return time.Time{}, fault.New(fault.Malformed, "Invalid expiration time")
	case seconds > maxTokenTTL.Seconds():
		return time.Time{}, fault.New(fault.Malformed, "Expiration time cannot exceed 30 days")
	case seconds*float64(time.Second) < 1:
		return time.Time{}, fault.New(fault.Malformed, "Expiration time must be in the future")
	}
	return now.Add(time.Duration(seconds * float64(time.Second))), nil
}

// expirationSeconds is how many seconds from now an expiration time is. They are a
// float so that no number a client can write overflows.
func expirationSeconds(raw json.RawMessage, now time.Time) (float64, bool) {
	var at float64
	if json.Unmarshal(raw, &at) == nil {
		return at - float64(now.UnixMilli())/1000, true
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return 0, false
	}
	m := spanForm.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(m[1], 64)
	return n * spanUnits[strings.ToLower(m[2])[0]], err == nil
}

// spanForm is a span of time as the library reads it with which the SDK signs tokens.
var spanForm = regexp.MustCompile(`(?i)^\+? ?(\d+(?:\.\d+)?) ?` +
	`(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?|y|yrs?|years?)(?: from now)?$`)

// spanUnits are the seconds of the units of a span, by their first letter.
var spanUnits = map[byte]float64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 7 * 86400, 'y': 365.25 * 86400}
