package web

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"sear/internal/fault"
	"sear/internal/store"
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

func (p *Pages) approvalForm(w http.ResponseWriter, r *http.Request) error {
	u, ok, err := p.approver(w, r)
	if err != nil || !ok {
		return err
	}
	c, err := p.auth.PendingLogin(r.Context(), chi.URLParam(r, "code"))
	if err != nil {
		return err
	}
	if c.Approval == store.ApprovalCallback {
		w.Header().Set("Content-Security-Policy", p.policy(loopback(c.CallbackPort)))
	}
	return p.render(w, http.StatusOK, "approve", view{
		Title: "Approve a command line login", User: u.Email, Content: struct{ Began time.Time }{c.CreatedAt},
	})
}

func (p *Pages) approve(w http.ResponseWriter, r *http.Request) error {
	u, ok, err := p.approver(w, r)
	if err != nil || !ok {
		return err
	}
	done, err := p.auth.ApproveLogin(r.Context(), chi.URLParam(r, "code"), u.ID)
	if err != nil {
		return err
	}
	if done.Approval == store.ApprovalCallback {
		q := url.Values{"approval_code": {done.Code}}
		http.Redirect(w, r, loopback(done.CallbackPort)+"/callback?"+q.Encode(), http.StatusSeeOther)
		return nil
	}
	return p.render(w, http.StatusOK, "approved", view{Title: "Login approved", User: u.Email, Content: struct{ Code string }{done.Code}})
}

// loopback is where a command line listens that runs beside the browser.
func loopback(port int) string { return "http://127.0.0.1:" + strconv.Itoa(port) }
