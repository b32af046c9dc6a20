package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/rest"
)

//go:embed templates
var files embed.FS

// maxForm bounds the forms people send, in bytes.
//
//limit:requests Forms of the pages | bytes | 413 The form is too large
const maxForm = 16 << 10

// Pages serves the pages.
type Pages struct {
	auth      *auth.Auth
	origin    func(*http.Request) string
	log       *slog.Logger
	templates map[string]*template.Template
	style     template.CSS
	styleHash string // as a content security policy names it
}

// New makes the pages. origin tells under which address a request reached the server,
// such as https://sear.example.com.
func New(a *auth.Auth, origin func(*http.Request) string, log *slog.Logger) (*Pages, error) {
	p := &Pages{auth: a, origin: origin, log: log, templates: map[string]*template.Template{}}
	style, err := files.ReadFile("templates/style.css")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(style)
	p.style, p.styleHash = template.CSS(style), "sha256-"+base64.StdEncoding.EncodeToString(sum[:])
	for _, name := range []string{"login", "approve", "approved", "tokens", "error"} {
		t, err := template.ParseFS(files, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, err
		}
		p.templates[name] = t
	}
	return p, nil
}

// Routes adds the pages to a router. Forms sent from pages of other origins are refused.
func (p *Pages) Routes(r chi.Router) {
	r.Group(func(r chi.Router) {
		r.Use(p.headers, p.ownForms)
		r.Get("/login", p.page(p.loginForm))
		r.Post("/login", p.page(p.login))
		r.Post("/logout", p.page(p.logout))
		r.Get("/account/tokens", p.page(p.tokens))
		r.Get(auth.ApprovalPath+"{code}", p.page(p.approvalForm))
		r.Post(auth.ApprovalPath+"{code}", p.page(p.approve))
	})
}

// ownForms refuses what pages of other origins send. A browser says where a form comes from by
// Sec-Fetch-Site or, where it does not trust the address of the server, as with plain http, by
// Origin alone. That names the server as the browser knows it, which may be the public URL
// although a proxy asks under another name.
func (p *Pages) ownForms(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == p.origin(r)
		if err := protection.Check(r); err != nil && !own {
			p.page(func(http.ResponseWriter, *http.Request) error {
				return fault.Wrap(fault.Forbidden, err, "This form was not sent from a page of this server. If you are on one, the server is reached by a name that it does not know: start it with --public-url.")
			})(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// headers keeps what the pages hold out of caches, frames, scripts, the referrers of other
// sites, and the hands of the window that opened them. With forms to this server browsers send
// its origin, which they would not with a stricter Referrer-Policy.
func (p *Pages) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", p.policy(""))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		if strings.HasPrefix(p.origin(r), "https://") {
			h.Set("Strict-Transport-Security", "max-age=31536000") // a year without http, so that nobody leads a browser there
		}
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// policy is the content security policy. formTarget is one more address to which a
// form may lead, also by the redirect that answers it.
func (p *Pages) policy(formTarget string) string {
	if formTarget != "" {
		formTarget = " " + formTarget
	}
	return "default-src 'none'; style-src '" + p.styleHash + "'; form-action 'self'" + formTarget + "; base-uri 'none'; frame-ancestors 'none'"
}

// page makes a handler of h. Errors become pages; who is not signed in is sent to sign in.
func (p *Pages) page(h rest.Handler) http.HandlerFunc {
	return rest.Wrap(p.log, func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		if err := h(w, r); err != nil {
			return p.fail(w, err)
		}
		return nil
	})
}

// statuses are the kinds of errors whose message a person can do something about.
var statuses = map[fault.Kind]int{
	fault.Malformed: http.StatusBadRequest, fault.NotFound: http.StatusNotFound, fault.Conflict: http.StatusConflict,
	fault.Forbidden: http.StatusForbidden, fault.Limit: http.StatusTooManyRequests, fault.TooLarge: http.StatusRequestEntityTooLarge,
}

// fail answers with a page when the error says something to a person, and otherwise
// leaves it to the funnel that logs it.
func (p *Pages) fail(w http.ResponseWriter, err error) error {
	status, known := statuses[fault.KindOf(err)]
	var f *fault.Error
	if !known || !errors.As(err, &f) {
		return err
	}
	rest.Headers(w.Header(), err)
	return p.render(w, status, "error", view{Title: "That did not work", Content: f.Msg})
}

// view is what a page shows.
type view struct {
	Title   string
	User    string // who is signed in
	Content any
	Style   template.CSS
}

// render writes a page, or nothing when it cannot be made.
func (p *Pages) render(w http.ResponseWriter, status int, name string, v view) error {
	v.Style = p.style
	var b bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&b, "layout.html", v); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
	return nil
}

func (p *Pages) tokens(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, http.StatusOK, "tokens", view{
		Title: "Access tokens", Content: struct{ Origin string }{p.origin(r)},
	})
}
