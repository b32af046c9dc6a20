package web_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"sear/internal/auth"
	"sear/internal/store"
	"sear/internal/web"
)

// site is the pages on a server of their own, with a browser.
type site struct {
	*auth.Auth
	*httptest.Server
	admin  *auth.Admin
	keys   auth.Keys
	client *http.Client // follows no redirects, keeps cookies
}

func setup(t *testing.T) *site {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(t.Context(), "sqlite::memory:", log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	sealer, err := auth.NewSealer(bytes.Repeat([]byte{1}, auth.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Auth: auth.New(st, sealer, log)}
	if s.admin, err = auth.Bootstrap(t.Context(), st, sealer); err != nil {
		t.Fatal(err)
	}
	if s.keys, err = auth.ReadKeys(t.Context(), st, sealer); err != nil {
		t.Fatal(err)
	}
	pages, err := web.New(s.Auth, func(r *http.Request) string { return "http://" + r.Host }, log)
	if err != nil {
		t.Fatal(err)
	}
	router := chi.NewRouter()
	pages.Routes(router)
	s.Server = httptest.NewServer(router)
	t.Cleanup(s.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s
}

// page is an answer.
type page struct {
	status   int
	location string
	header   http.Header
	body     string
}

func (s *site) do(t *testing.T, method, path string, form url.Values, header ...string) page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return page{res.StatusCode, res.Header.Get("Location"), res.Header, string(body)}
}

func (s *site) signIn(t *testing.T) {
	t.Helper()
	p := s.do(t, "POST", "/login", url.Values{"email": {s.admin.Email}, "password": {s.admin.Password}})
	if p.status != http.StatusSeeOther || p.location != "/account/tokens" {
		t.Fatalf("sign in: %+v", p)
	}
}

// begin opens a login of the command line and returns the path of its page.
func (s *site) begin(t *testing.T, r auth.LoginRequest) (code, path string) {
	t.Helper()
	code, _, err := s.BeginLogin(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return code, auth.ApprovalPath + code
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestApprovalByPolling(t *testing.T) {
	t.Parallel()
	s := setup(t)
	code, path := s.begin(t, auth.LoginRequest{})

	p := s.do(t, "GET", path+"?email=me%40example.com", nil)
	query := url.Values{"email": {"me@example.com"}, "next": {path}}
	if p.status != http.StatusSeeOther || p.location != "/login?"+query.Encode() {
		t.Fatalf("not signed in: %d to %s", p.status, p.location)
	}
	p = s.do(t, "GET", p.location, nil)
	if p.status != http.StatusOK || !strings.Contains(p.body, `value="me@example.com"`) || !strings.Contains(p.body, `value="`+path+`"`) {
		t.Fatalf("login page: %+v", p)
	}
	p = s.do(t, "POST", "/login", url.Values{"password": {s.keys.PersonalAccessToken}, "next": {path}})
	if p.status != http.StatusSeeOther || p.location != path {
		t.Fatalf("sign in: %+v", p)
	}
	if p := s.do(t, "GET", path, nil); p.status != http.StatusOK || !strings.Contains(p.body, s.admin.Email) {
		t.Fatalf("approval page: %+v", p)
	}
	if token, err := s.ExchangeLogin(t.Context(), code, "", ""); err != nil || token != "" {
		t.Fatalf("looking at the page approves it: %q, %v", token, err)
	}
	if p := s.do(t, "POST", path, url.Values{}); p.status != http.StatusOK || !strings.Contains(p.body, "Return to your terminal") {
		t.Fatalf("approved: %+v", p)
	}
	if token, err := s.ExchangeLogin(t.Context(), code, "", ""); err != nil || token == "" {
		t.Errorf("after the approval: %q, %v", token, err)
	}
	if p := s.do(t, "POST", path, url.Values{}); p.status != http.StatusConflict {
		t.Errorf("approved once more: %+v", p)
	}
}

func TestApprovalByPasting(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.signIn(t)
	code, path := s.begin(t, auth.LoginRequest{Challenge: challenge()})
	p := s.do(t, "POST", path, url.Values{})
	shown := regexp.MustCompile(`class="code">([-A-Z0-9]+)<`).FindStringSubmatch(p.body)
	if p.status != http.StatusOK || shown == nil {
		t.Fatalf("%+v", p)
	}
	if token, err := s.ExchangeLogin(t.Context(), code, verifier, shown[1]); err != nil || token == "" {
		t.Errorf("with the code shown: %q, %v", token, err)
	}
}

func TestApprovalByCallback(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.signIn(t)
	code, path := s.begin(t, auth.LoginRequest{Challenge: challenge(), CallbackPort: 4321})
	form := s.do(t, "GET", path, nil)
	if csp := form.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' http://127.0.0.1:4321;") {
		t.Errorf("the browser would not follow the form to the program: %s", csp)
	}
	p := s.do(t, "POST", path, url.Values{})
	u, err := url.Parse(p.location)
	if err != nil || p.status != http.StatusSeeOther || u.Scheme+"://"+u.Host+u.Path != "http://127.0.0.1:4321/callback" {
		t.Fatalf("%+v, %v", p, err)
	}
	if token, err := s.ExchangeLogin(t.Context(), code, verifier, u.Query().Get("approval_code")); err != nil || token == "" {
		t.Errorf("with the code sent: %q, %v", token, err)
	}
}

func TestUnknownLogin(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.signIn(t)
	for _, method := range []string{"GET", "POST"} {
		p := s.do(t, method, "/account/authorization-code/nope", url.Values{})
		if p.status != http.StatusNotFound || !strings.Contains(p.body, "not found, or expired") ||
			!strings.HasPrefix(p.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %+v", method, p)
		}
	}
}

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	s := setup(t)
	p := s.do(t, "POST", "/login", url.Values{"email": {`"><b>`}, "password": {"wrong"}, "next": {"/account/tokens"}})
	if p.status != http.StatusUnauthorized || !strings.Contains(p.body, "is not right") || strings.Contains(p.body, "<b>") {
		t.Errorf("wrong password: %+v", p)
	}
	if strings.Contains(p.body, "wrong") {
		t.Error("the page shows the password")
	}
	p = s.do(t, "POST", "/login", url.Values{"email": {s.admin.Email}, "password": {s.admin.Password}})
	c, err := http.ParseSetCookie(p.header.Get("Set-Cookie"))
	if err != nil || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Secure || c.MaxAge != 604800 || len(c.Value) != 43 {
		t.Fatalf("cookie %+v, %v", c, err)
	}
	if p := s.do(t, "GET", "/login", nil); p.status != http.StatusSeeOther {
		t.Errorf("signed in already: %d", p.status)
	}
	if p := s.do(t, "POST", "/logout", url.Values{}); p.status != http.StatusSeeOther || p.location != "/login" {
		t.Errorf("sign out: %+v", p)
	}
	if p := s.do(t, "GET", "/login", nil); p.status != http.StatusOK {
		t.Errorf("signed out: %d", p.status)
	}
	if _, err := s.SessionUser(t.Context(), c.Value); err == nil {
		t.Error("the session outlives signing out")
	}
}

func TestCookieIsSecureBehindHTTPS(t *testing.T) {
	t.Parallel()
	s := setup(t)
	log := slog.New(slog.DiscardHandler)
	pages, err := web.New(s.Auth, func(*http.Request) string { return "https://sear.example.com" }, log)
	if err != nil {
		t.Fatal(err)
	}
	router := chi.NewRouter()
	pages.Routes(router)
	form := url.Values{"password": {s.keys.PersonalAccessToken}}
	r := httptest.NewRequest("POST", "/login", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	router.ServeHTTP(rec, r)
	if rec.Header().Get("Strict-Transport-Security") == "" {
		t.Error("a browser may come back without TLS")
	}
	if c, err := http.ParseSetCookie(rec.Header().Get("Set-Cookie")); err != nil || !c.Secure {
		t.Errorf("cookie %+v, %v", c, err)
	}
}

func TestRedirectsStayHere(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.signIn(t)
	for next, want := range map[string]string{
		"/account/authorization-code/abc": "/account/authorization-code/abc",
		"/a?b=c%2F":                       "/a?b=c%2F",
		"":                                "/account/tokens",
		"account":                         "/account/tokens",
		"https://evil.example/":           "/account/tokens",
		"//evil.example/":                 "/account/tokens",
		"/\\evil.example/":                "/account/tokens",
		"\\\\evil.example/":               "/account/tokens",
		"/\t/evil.example/":               "/account/tokens",
		"javascript:alert(1)":             "/account/tokens",
		"/%zz":                            "/account/tokens",
	} {
		if p := s.do(t, "GET", "/login?next="+url.QueryEscape(next), nil); p.location != want {
			t.Errorf("next %q leads to %q, want %q", next, p.location, want)
		}
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.signIn(t)
	code, path := s.begin(t, auth.LoginRequest{})
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
	} {
		if p := s.do(t, "POST", path, url.Values{}, header...); p.status != http.StatusForbidden {
			t.Errorf("%v: %d", header, p.status)
		}
	}
	if token, err := s.ExchangeLogin(t.Context(), code, "", ""); err != nil || token != "" {
		t.Errorf("approved from elsewhere: %q, %v", token, err)
	}
	if p := s.do(t, "POST", path, url.Values{}, "Origin", s.URL, "Sec-Fetch-Site", "same-origin"); p.status != http.StatusOK {
		t.Errorf("from here: %d", p.status)
	}
}

func TestEveryPage(t *testing.T) {
	t.Parallel()
	s := setup(t)
	anonymous := s.do(t, "GET", "/login", nil)
	tokens := s.do(t, "GET", "/account/tokens", nil)
	s.signIn(t)
	_, path := s.begin(t, auth.LoginRequest{Challenge: challenge()})
	for name, p := range map[string]page{
		"login": anonymous, "tokens": tokens, "approve": s.do(t, "GET", path, nil), "approved": s.do(t, "POST", path, url.Values{}),
		"error": s.do(t, "GET", "/account/authorization-code/nope", nil),
	} {
		style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(p.body)
		if style == nil {
			t.Fatalf("%s: %+v", name, p)
		}
		sum := sha256.Sum256([]byte(style[1]))
		if csp := p.header.Get("Content-Security-Policy"); !strings.Contains(csp, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") ||
			!strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %s does not fit the page", name, csp)
		}
		for key, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		} {
			if got := p.header.Get(key); got != want {
				t.Errorf("%s: %s is %q", name, key, got)
			}
		}
		if strings.Contains(p.body, "<script") || !strings.Contains(p.body, `<html lang="en">`) {
			t.Errorf("%s: %s", name, p.body)
		}
	}
	if !strings.Contains(tokens.body, "--api-url "+s.URL) {
		t.Errorf("tokens: %s", tokens.body)
	}
}

func TestLargeFormsAreRefused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if p := s.do(t, "POST", "/login", url.Values{"password": {strings.Repeat("x", 20<<10)}}); p.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d", p.status)
	}
}
