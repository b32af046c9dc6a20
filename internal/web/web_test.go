package web_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

func setup(t *testing.T) *site { return setupAt(t, "") }

// setupAt serves under a public URL or, without one, wherever it is found.
func setupAt(t *testing.T, public string) *site {
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
	pages, err := web.New(s.Auth, func(r *http.Request) string { return cmp.Or(public, "http://"+r.Host) }, log)
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
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
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
func (s *site) begin(port int) (code, path string) {
	code = s.BeginLogin(auth.Login{
		Challenge: sha256.Sum256([]byte(verifier)), CallbackPort: port, Address: "203.0.113.7", Client: `node "<b>`,
	})
	return code, auth.ApprovalPath + code
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

// typed is the form of somebody who has read the code.
func typed(code string) url.Values { return url.Values{"typed": {code[:4]}} }

func TestApprovalByPasting(t *testing.T) {
	t.Parallel()
	s := setup(t)
	code, path := s.begin(0)

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
	p = s.do(t, "GET", path, nil)
	for _, want := range []string{s.admin.Email, "203.0.113.7 (this browser is at another address)", "node &#34;&lt;b&gt;", "secret keys of all environments", " UTC"} {
		if p.status != http.StatusOK || !strings.Contains(p.body, want) {
			t.Errorf("the page does not say %q: %+v", want, p)
		}
	}
	if strings.Contains(p.body, code[:4]) {
		t.Error("the page shows what is to be read in the terminal")
	}
	for _, form := range []url.Values{{}, {"typed": {""}}, {"typed": {"0000"}}} {
		if p := s.do(t, "POST", path, form); p.status != http.StatusBadRequest || !strings.Contains(p.body, "first four characters") {
			t.Errorf("typed %v: %+v", form, p)
		}
	}
	if token, err := s.ExchangeLogin(t.Context(), code, verifier, "x"); err != nil || token != "" {
		t.Fatalf("approved without the code's characters: %q, %v", token, err)
	}
	p = s.do(t, "POST", path, typed(strings.ToLower(code)))
	shown := regexp.MustCompile(`class="code">([-A-Z0-9]+)<`).FindStringSubmatch(p.body)
	if p.status != http.StatusOK || shown == nil {
		t.Fatalf("%+v", p)
	}
	if token, err := s.ExchangeLogin(t.Context(), code, verifier, shown[1]); err != nil || token == "" {
		t.Errorf("with the code shown: %q, %v", token, err)
	}
	for _, method := range []string{"GET", "POST"} {
		if p := s.do(t, method, path, typed(code)); p.status != http.StatusConflict {
			t.Errorf("%s once more: %+v", method, p)
		}
	}
}

func TestApprovalByCallback(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.signIn(t)
	code, path := s.begin(4321)
	for _, form := range []page{s.do(t, "GET", path, nil), s.do(t, "POST", path, url.Values{})} {
		if csp := form.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' http://127.0.0.1:4321;") {
			t.Errorf("the browser would not follow the form to the program: %s", csp)
		}
	}
	p := s.do(t, "POST", path, typed(code))
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
	code, path := s.begin(0)
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Sec-Fetch-Site", "cross-site", "Origin", s.URL},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
		{"Origin", s.URL + ".evil.example"},
	} {
		for form, values := range map[string]url.Values{path: typed(code), "/login": {"password": {s.keys.PersonalAccessToken}}, "/logout": {}} {
			if p := s.do(t, "POST", form, values, header...); p.status != http.StatusForbidden {
				t.Errorf("%s, %v: %d", form, header, p.status)
			}
		}
	}
	if token, err := s.ExchangeLogin(t.Context(), code, verifier, "x"); err != nil || token != "" {
		t.Errorf("approved from elsewhere: %q, %v", token, err)
	}
}

// TestFormsOfThisServerAreTaken: over https, over plain http under any name, where browsers
// send no Sec-Fetch-Site, and by way of a proxy that asks under a name of its own.
func TestFormsOfThisServerAreTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ public, host, origin, site string }{
		"https":                                  {"", "sear.example.com", "https://sear.example.com", "same-origin"},
		"https without Sec-Fetch-Site":           {"", "sear.example.com", "https://sear.example.com", ""},
		"plain http":                             {"", "sear.test:3030", "http://sear.test:3030", ""},
		"a proxy that hides the name":            {"http://sear.lan", "127.0.0.1:3030", "http://sear.lan", ""},
		"a TLS proxy that hides the name":        {"", "127.0.0.1:3030", "https://sear.example.com", "same-origin"},
		"that proxy without Sec-Fetch-Site":      {"https://sear.example.com", "127.0.0.1:3030", "https://sear.example.com", ""},
		"no browser, which sends neither header": {"", "127.0.0.1:3030", "", ""},
	} {
		s := setupAt(t, c.public)
		code, path := s.begin(0)
		header := []string{"Host", c.host}
		if c.origin != "" {
			header = append(header, "Origin", c.origin)
		}
		if c.site != "" {
			header = append(header, "Sec-Fetch-Site", c.site)
		}
		p := s.do(t, "POST", "/login", url.Values{"password": {s.keys.PersonalAccessToken}}, header...)
		cookie, err := http.ParseSetCookie(p.header.Get("Set-Cookie"))
		if p.status != http.StatusSeeOther || err != nil {
			t.Errorf("%s: sign in: %+v, %v", name, p, err)
			continue
		}
		if https := strings.HasPrefix(c.origin, "https:"); cookie.Secure != https {
			t.Errorf("%s: the cookie is secure %v", name, cookie.Secure)
		}
		header = append(header, "Cookie", cookie.Name+"="+cookie.Value)
		if p := s.do(t, "POST", path, typed(code), header...); p.status != http.StatusOK {
			t.Errorf("%s: approve: %+v", name, p)
		}
		if p := s.do(t, "POST", "/logout", url.Values{}, header...); p.status != http.StatusSeeOther {
			t.Errorf("%s: sign out: %+v", name, p)
		}
	}
}

// TestNothingIsPressedUnseen: a page of another site can open these in a window of their own
// while its visitor holds a key. So nothing on them takes the focus, neither by itself nor
// by a link to its id, nor by a key.
func TestNothingIsPressedUnseen(t *testing.T) {
	t.Parallel()
	templates, err := filepath.Glob("templates/*.html")
	if err != nil || len(templates) < 6 {
		t.Fatal(templates, err)
	}
	for _, name := range templates {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range regexp.MustCompile(`<[a-z][^>]*>`).FindAllString(string(text), -1) {
			if regexp.MustCompile(`\s(autofocus|accesskey|tabindex|id)\b`).MatchString(tag) {
				t.Errorf("%s: %s", name, tag)
			}
		}
	}
}

// TestGuessesHoldUpNobodyElse: while somebody guesses passwords over sixty connections, who
// knows one signs in from elsewhere in little more than the time that takes by itself.
func TestGuessesHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	s := setup(t)
	right := url.Values{"email": {s.admin.Email}, "password": {s.admin.Password}}
	begin := time.Now()
	if p := s.do(t, "POST", "/login", right); p.status != http.StatusSeeOther {
		t.Fatalf("%+v", p)
	}
	alone := time.Since(begin)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var guessers sync.WaitGroup
	var refused, unexplained atomic.Int64
	begun := make(chan struct{}, 60)
	for range cap(begun) {
		guessers.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				form := strings.NewReader(url.Values{"email": {s.admin.Email}, "password": {"guess"}}.Encode())
				req, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/login", form)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				req.Header.Set("X-Forwarded-For", "203.0.113.7")
				select {
				case begun <- struct{}{}:
				default:
				}
				res, err := client.Do(req)
				if err != nil {
					continue // the end
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode == http.StatusTooManyRequests {
					refused.Add(1)
					if res.Header.Get("Retry-After") == "" {
						unexplained.Add(1)
					}
				}
			}
		})
	}
	for len(begun) < cap(begun) {
		runtime.Gosched()
	}
	for i := range 3 {
		begin = time.Now()
		if p := s.do(t, "POST", "/login", right); p.status != http.StatusSeeOther {
			t.Errorf("sign-in %d beside guesses: %+v", i, p)
		}
		if took := time.Since(begin); took > time.Second+5*alone {
			t.Errorf("sign-in %d took %s beside guesses, %s alone", i, took, alone)
		}
	}
	stop()
	guessers.Wait()
	if refused.Load() == 0 || unexplained.Load() != 0 {
		t.Errorf("%d guesses were refused at once, %d of them without saying when to come back", refused.Load(), unexplained.Load())
	}
}

// TestOneAddressCannotAskWithoutEnd: what is anonymous is counted by address.
func TestOneAddressCannotAskWithoutEnd(t *testing.T) {
	t.Parallel()
	s := setup(t)
	form := url.Values{"email": {`me@"example`}, "password": {"tr_pat_guess"}, "next": {"/account/tokens"}}
	var last page
	for range 1000 {
		if last = s.do(t, "POST", "/login", form, "X-Forwarded-For", "203.0.113.7"); last.status != http.StatusUnauthorized {
			break
		}
	}
	if last.status != http.StatusTooManyRequests || last.header.Get("Retry-After") != "1" || !strings.Contains(last.body, `value="me@&#34;example"`) {
		t.Errorf("%+v", last)
	}
	form.Set("password", s.keys.PersonalAccessToken)
	if p := s.do(t, "POST", "/login", form); p.status != http.StatusSeeOther {
		t.Errorf("from another address: %+v", p)
	}
}

func TestEveryPage(t *testing.T) {
	t.Parallel()
	s := setup(t)
	anonymous := s.do(t, "GET", "/login", nil)
	tokens := s.do(t, "GET", "/account/tokens", nil)
	s.signIn(t)
	code, path := s.begin(0)
	for name, p := range map[string]page{
		"login": anonymous, "tokens": tokens, "approve": s.do(t, "GET", path, nil), "approved": s.do(t, "POST", path, typed(code)), "again": s.do(t, "POST", path, url.Values{}),
		"error": s.do(t, "GET", "/account/authorization-code/nope", nil), "refused": s.do(t, "POST", path, typed(code), "Origin", "null"),
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
			"Cache-Control": "no-store", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
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
