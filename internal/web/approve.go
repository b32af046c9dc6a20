package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-chi/chi/v5"

	"sear/internal/auth"
	"sear/internal/fault"
	"sear/internal/rest"
	"sear/internal/tenant"
)

// approver is the signed-in user. Who is not is sent to sign in and back again; then
// ok is false and the response complete.
func (p *Pages) approver(w http.ResponseWriter, r *http.Request) (u tenant.User, ok bool, err error) {
	u, err = p.user(r)
	if !fault.Is(err, fault.Unauthorized) {
		return u, err == nil, err
	}
	q := url.Values{"next": {r.URL.EscapedPath()}}
	if email := r.URL.Query().Get("email"); email != "" { // the command line may know it
		q.Set("email", email)
	}
	http.Redirect(w, r, "/login?"+q.Encode(), http.StatusSeeOther)
	return u, false, nil
}

// approval is what the page shows on which a login is approved.
type approval struct {
	auth.Login
	Elsewhere bool // it began at another address than the browser's
	Error     string
}

func (p *Pages) approvalForm(w http.ResponseWriter, r *http.Request) error {
	u, ok, err := p.approver(w, r)
	if err != nil || !ok {
		return err
	}
	return p.askApproval(w, r, u, http.StatusOK, "")
}

func (p *Pages) askApproval(w http.ResponseWriter, r *http.Request, u tenant.User, status int, problem string) error {
	l, err := p.auth.PendingLogin(r.Context(), chi.URLParam(r, "code"))
	if err != nil {
		return err
	}
	if l.CallbackPort != 0 {
		w.Header().Set("Content-Security-Policy", p.policy(loopback(l.CallbackPort)))
	}
	return p.render(w, status, "approve", view{
		Title: "Approve a command line login", User: u.Email,
		Content: approval{Login: l, Elsewhere: l.Address != "" && l.Address != rest.ClientAddress(r), Error: problem},
	})
}

func (p *Pages) approve(w http.ResponseWriter, r *http.Request) error {
	u, ok, err := p.approver(w, r)
	if err != nil || !ok {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	l, code, err := p.auth.ApproveLogin(r.Context(), chi.URLParam(r, "code"), r.PostForm.Get("typed"), u.ID)
	var refused *fault.Error
	if errors.As(err, &refused) && refused.Kind == fault.Malformed {
		return p.askApproval(w, r, u, http.StatusBadRequest, refused.Msg)
	}
	if err != nil {
		return err
	}
	if l.CallbackPort != 0 {
		q := url.Values{"approval_code": {code}}
		http.Redirect(w, r, loopback(l.CallbackPort)+"/callback?"+q.Encode(), http.StatusSeeOther)
		return nil
	}
	return p.render(w, http.StatusOK, "approved", view{Title: "Login approved", User: u.Email, Content: struct{ Code string }{code}})
}

// loopback is where a command line listens that runs beside the browser.
func loopback(port int) string { return "http://127.0.0.1:" + strconv.Itoa(port) }
