package api

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/fault"
	"sear/internal/rest"
	"sear/internal/run"
)

// packetLife is how long an address of a packet may be used.
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
	return rest.JSON(w, http.StatusOK, packetAddress{a.packetURL(r, http.MethodPut, path), path})
}

// putPacketV1 serves PUT /api/v1/packets/*, which tells less.
func (a *API) putPacketV1(w http.ResponseWriter, r *http.Request) error {
	path, err := packetParam(r)
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, packetAddress{PresignedURL: a.packetURL(r, http.MethodPut, path)})
}

// getPacket serves GET /api/v1/packets/*: where to download a packet.
func (a *API) getPacket(w http.ResponseWriter, r *http.Request) error {
	path, err := packetParam(r)
	if err != nil {
		return err
	}
	if err := a.mayRead(r, path); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, packetAddress{PresignedURL: a.packetURL(r, http.MethodGet, path)})
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
	return rest.JSON(w, http.StatusOK, packetAddress{PresignedURL: a.packetURL(r, http.MethodGet, p.Data)})
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

// packetURL is an address that permits one method on a packet for packetLife.
func (a *API) packetURL(r *http.Request, method, path string) string {
	target := packetPrefix + environment(r).ID + "/" + url.PathEscape(path)
	return a.origin(r) + a.auth.SignPath(method, target, time.Now().Add(packetLife))
}

// mayRead checks that a public token may read a packet: any, or those of a run it
// may read, which lie under the run's id.
func (a *API) mayRead(r *http.Request, path string) error {
	p := auth.From(r.Context())
	runID, _, _ := strings.Cut(path, "/")
	if p.Can("read", "runs", "") || p.Can("read", "runs", runID) {
		return nil
	}
	return errForbidden
}

// signedPacket checks the address of an upload or a download, and takes it apart.
func (a *API) signedPacket(r *http.Request) (envID, path string, err error) {
	if err := a.auth.CheckPath(r.Method, r.URL.EscapedPath(), r.URL.Query()); err != nil {
		return "", "", err
	}
	if envID, err = param(r, "env"); err != nil {
		return "", "", err
	}
	path, err = packetParam(r)
	return envID, path, err
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
	if err := a.blobs.Put(envID, path, r.Header.Get("Content-Type"), r.Body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// downloadPacket serves GET /packets/{env}/*. The type is the one of the upload: it
// tells the client how to decode the packet.
func (a *API) downloadPacket(w http.ResponseWriter, r *http.Request) error {
	envID, path, err := a.signedPacket(r)
	if err != nil {
		return err
	}
	p, err := a.blobs.Open(envID, path)
	if err != nil {
		return err
	}
	defer p.Close()
	w.Header().Set("Content-Type", p.Type)
	w.Header().Set("Content-Length", strconv.FormatInt(p.Size, 10))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err = p.WriteTo(w)
	return err
}
