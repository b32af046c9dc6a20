package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
	"sear/internal/tenant"
)

// packetLife is how long an address of a packet may be used.
//
//limit:packets Time that an address to upload or download lasts |  | 403 This URL has expired
const packetLife = 5 * time.Minute

// packetAddress answers where a packet can be sent to or read from.
type packetAddress struct {
	PresignedURL string `json:"presignedUrl"`
	StoragePath  string `json:"storagePath,omitempty"`
}

// putPacket serves PUT /api/v2/packets/*: where to upload a packet, and what to call
// it afterwards.
func (a *API) putPacket(w http.ResponseWriter, r *http.Request) error {
	path, err := packetParam(r)
	if err != nil {
		return err
	}
	return a.answerAddress(w, r, http.MethodPut, path, path)
}

// putPacketV1 serves PUT /api/v1/packets/*, which tells less.
func (a *API) putPacketV1(w http.ResponseWriter, r *http.Request) error {
	path, err := packetParam(r)
	if err != nil {
		return err
	}
	return a.answerAddress(w, r, http.MethodPut, path, "")
}

// getPacket serves GET /api/v1/packets/*: where to download a packet.
func (a *API) getPacket(w http.ResponseWriter, r *http.Request) error {
	path, err := packetParam(r)
	if err != nil {
		return err
	}
	if err := a.mayReadPacket(r.Context(), auth.From(r.Context()), path); err != nil {
		return err
	}
	return a.answerAddress(w, r, http.MethodGet, path, "")
}

// runPacket serves GET /api/v1/runs/{run}/packets/{kind}: where to download the
// payload or the output of a run. 404 sends the client to getPacket.
func (a *API) runPacket(w http.ResponseWriter, r *http.Request) error {
	d, err := a.detail(r)
	if err != nil {
		return err
	}
	if !readsRun(auth.From(r.Context()), d) {
		return errForbidden
	}
	kind, err := param(r, "kind")
	if err != nil {
		return err
	}
	p := map[string]run.Packet{"payload": d.Payload, "output": d.Output}[kind]
	if p.Type != run.TypeStore {
		return fault.New(fault.NotFound, "Packet not found")
	}
	return a.answerAddress(w, r, http.MethodGet, p.Data, "")
}

// answerAddress answers with the address for a method on a packet and, for uploads,
// what to call it afterwards.
func (a *API) answerAddress(w http.ResponseWriter, r *http.Request, method, path, name string) error {
	to, err := a.packetURL(r, method, path)
	if err == nil && method == http.MethodPut {
		err = a.engine.ExpectPacket(r.Context(), environment(r).ID, path)
	}
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, packetAddress{to, name})
}

// packetParam is the path of the packet that a request names.
func packetParam(r *http.Request) (string, error) {
	path, err := param(r, "*")
	if err == nil {
		err = blob.CheckPath(path)
	}
	return path, err
}

// packetPrefix is where packets are sent to and read from, followed by the
// environment and the path.
const packetPrefix = "/packets/"

// packetURL is an address that permits one method on a packet for packetLife: in the
// bucket, or here when there is none.
func (a *API) packetURL(r *http.Request, method, path string) (string, error) {
	envID := environment(r).ID
	if there, err := a.blobs.URL(method, envID, path, packetLife); err != nil || there != "" {
		return there, err
	}
	return a.origin(r) + a.auth.SignPath(method, packetTarget(envID, path), time.Now().Add(packetLife)), nil
}

// packetTarget is the path of a packet's address. This spelling is the one that is
// signed, whichever of the equivalent ones arrives through proxies.
func packetTarget(envID, path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return packetPrefix + envID + "/" + strings.Join(segments, "/")
}

// maxSharers is how many of the runs that share a packet are looked at, newest first, for
// one that a credential reads: replays and repeated payloads share theirs.
//
//limit:packets Runs with the same packet that are looked at for one that a token reads, the newest first | runs | 403
const maxSharers = 1000

// mayReadPacket checks that a credential may read a packet: it may read all runs, or one
// whose payload or output that is. The path of an output begins with the id of its run,
// which counts before the run has ended. Who may not read does not learn what there is.
func (a *API) mayReadPacket(ctx context.Context, p tenant.Principal, path string) error {
	if p.Can("read", "runs", "") {
		return nil
	}
	var runs map[string]store.Detail
	err := a.store.View(ctx, func(tx *store.Tx) error {
		owners, err := tx.PacketOwners(store.Packet{EnvID: p.Env.ID, Path: path}, maxSharers)
		if err != nil {
			return err
		}
		if runID, ok := outputOf(path); ok {
			owners = append(owners, runID)
		}
		runs, err = tx.Summaries(owners)
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range runs {
		if d.EnvID == p.Env.ID && readsRun(p, d) {
			return nil
		}
	}
	return errForbidden
}

// outputOf is the run whose output a path is for, as the SDK names it: run_ID-ATTEMPT/….
func outputOf(path string) (runID string, ok bool) {
	first, _, _ := strings.Cut(path, "/")
	friendly, _, _ := strings.Cut(first, "-")
	runID, ok = id.Internal(id.Run, friendly)
	return runID, ok && strings.HasPrefix(friendly, id.Run+"_")
}

// mayRefer checks that a run of the caller's may have a packet as its payload.
func (a *API) mayRefer(ctx context.Context, p tenant.Principal, path string) error {
	if err := blob.CheckPath(path); err != nil {
		return err
	}
	err := a.mayReadPacket(ctx, p, path)
	if fault.Is(err, fault.Forbidden) {
		err = fault.New(fault.Forbidden, "payload: this credential may not read the packet that it names")
	}
	return err
}

// signedPacket checks the address of an upload or a download, and takes it apart.
func (a *API) signedPacket(r *http.Request) (envID, path string, err error) {
	if envID, err = param(r, "env"); err != nil {
		return "", "", err
	}
	if path, err = packetParam(r); err != nil {
		return "", "", err
	}
	return envID, path, a.auth.CheckPath(r.Method, packetTarget(envID, path), r.URL.Query())
}

// uploadPacket serves PUT /packets/{env}/*.
func (a *API) uploadPacket(w http.ResponseWriter, r *http.Request) error {
	envID, path, err := a.signedPacket(r)
	if err != nil {
		return err
	}
	if r.ContentLength > blob.MaxSize {
		return fault.New(fault.TooLarge, "Request body too large")
	}
	if err := a.blobs.Put(r.Context(), envID, path, r.Header.Get("Content-Type"), upload{r.Body}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// upload is a body whose errors are the client's: the connection broke.
type upload struct{ body io.Reader }

func (u upload) Read(b []byte) (int, error) {
	n, err := u.body.Read(b)
	if err != nil && err != io.EOF {
		err = fault.Wrap(fault.Malformed, err, "Request body could not be read")
	}
	return n, err
}

// downloadPacket serves GET /packets/{env}/*. The type is the one of the upload: it
// tells the client how to decode the packet. A browser that is led here must not take
// the packet for a page of this server.
func (a *API) downloadPacket(w http.ResponseWriter, r *http.Request) error {
	envID, path, err := a.signedPacket(r)
	if err != nil {
		return err
	}
	p, err := a.blobs.Open(r.Context(), envID, path)
	if err != nil {
		return err
	}
	defer p.Close()
	h := w.Header()
	h.Set("Content-Type", p.Type)
	h.Set("Content-Length", strconv.FormatInt(p.Size, 10))
	h.Set("Content-Disposition", "attachment")
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	_, err = p.WriteTo(w)
	return err
}
