package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/rest"
	"sear/internal/tenant"
)

// sessionCookie holds a browser's session.
const sessionCookie = "sear_session"

// start is where people go who came for nothing else.
const start = "/account/tokens"

// loginView is what the sign-in page shows.
type loginView struct{ Next, Email, Error string }

func (p *Pages) loginForm(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	next := localPath(q.Get("next"))
	if _, err := p.user(r); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	} else if !fault.Is(err, fault.Unauthorized) {
		return err
	}
	email := q.Get("email")
	if email == "" {
		email = auth.AdminEmail
	}
	return p.render(w, http.StatusOK, "login", view{Title: "Sign in", Content: loginView{Next: next, Email: email}})
}

// signInAgain are the refusals after which the sign-in page is shown once more.
var signInAgain = map[fault.Kind]int{fault.Unauthorized: http.StatusUnauthorized, fault.Limit: http.StatusTooManyRequests}

func (p *Pages) login(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	next, email := localPath(r.PostForm.Get("next")), r.PostForm.Get("email")
	err := p.auth.Admit(r)
	var session string
	if err == nil {
		session, err = p.auth.SignIn(r.Context(), rest.ClientNetwork(r), email, r.PostForm.Get("password"))
	}
	var refused *fault.Error
	if status, again := signInAgain[fault.KindOf(err)]; again && errors.As(err, &refused) {
		rest.Headers(w.Header(), err)
		return p.render(w, status, "login", view{Title: "Sign in", Content: loginView{Next: next, Email: email, Error: refused.Msg}})
	}
	if err != nil {
		return err
	}
	p.setCookie(w, r, session, int(auth.SessionTTL.Seconds()))
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (p *Pages) logout(w http.ResponseWriter, r *http.Request) error {
	if c, err := r.Cookie(sessionCookie); err == nil {
		if err := p.auth.SignOut(r.Context(), c.Value); err != nil {
			return err
		}
	}
	p.setCookie(w, r, "", -1)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

// setCookie keeps a session in the browser for maxAge seconds, or with a negative
// maxAge removes it. Lax, because the page to approve a login is reached from outside.
// Secure, when the browser is at an https address, as its Origin says whatever proxies hide:
// at another it would not keep such a cookie.
func (p *Pages) setCookie(w http.ResponseWriter, r *http.Request, session string, maxAge int) {
	at := r.Header.Get("Origin")
	if at == "" {
		at = p.origin(r)
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: session, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(at, "https://"),
	})
}

// user is who the browser is signed in as, fault.Unauthorized for nobody.
func (p *Pages) user(r *http.Request) (tenant.User, error) {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return tenant.User{}, fault.New(fault.Unauthorized, "Sign in first")
	}
	return p.auth.SessionUser(r.Context(), c.Value)
}

// localPath keeps a redirect on this server: anything but a path of it becomes start.
// Browsers take a backslash for a slash, and two slashes for the begin of a host.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return start
	}
	return next
}

func parseForm(r *http.Request) error {
	err := r.ParseForm()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return fault.Wrap(fault.TooLarge, err, "The form is too large")
	case err != nil:
		return fault.Wrap(fault.Malformed, err, "The form could not be read")
	}
	return nil
}
