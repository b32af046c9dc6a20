package workerapi

import (
	"io"
	"mime"
	"net/http"

	"sear/internal/fault"
	"sear/internal/rest"
)

// maxTelemetry bounds one export.
//
//limit:workers Spans, logs or metrics of one export, which are not kept | bytes | 413 Request body too large
const maxTelemetry = 16 << 20

// Media types of OTLP.
const (
	otlpJSON     = "application/json"
	otlpProtobuf = "application/x-protobuf"
)

// telemetry acknowledges spans, logs and metrics, and keeps none of them: the whole
// body is read, so that exporters find their connection alive, and dropped. It must
// be quick, because processes wait for it before they report how an attempt ended.
func (a *API) telemetry(w http.ResponseWriter, r *http.Request) error {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != otlpJSON && mediaType != otlpProtobuf {
		return fault.New(fault.Malformed, "Unsupported content type. Must be either application/x-protobuf or application/json")
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "gzip" && encoding != "identity" {
		return fault.New(fault.MediaType, "Unsupported content encoding. Must be gzip or none")
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r.Body, maxTelemetry+1))
	if err != nil {
		return fault.Wrap(fault.Malformed, err, "Request body could not be read")
	}
	if n > maxTelemetry {
		return fault.New(fault.TooLarge, "Request body too large")
	}
	if mediaType == otlpJSON {
		return rest.JSON(w, http.StatusOK, struct{}{})
	}
	w.Header().Set("Content-Type", otlpProtobuf) // a response without fields has no bytes
	w.WriteHeader(http.StatusOK)
	return nil
}
