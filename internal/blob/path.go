package blob

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"sear/internal/fault"
)

// maxPath bounds the path of a packet, in bytes. S3 takes keys of 1024, which begin
// with the environment.
//
//limit:packets The path of a packet | bytes | 400 Invalid packet storage path
const maxPath = 960

// CheckPath says whether a path may name a packet: segments between slashes, none of
// which is empty, "." or "..", not even once decoded. On disk a packet lies under the
// hash of its path, so this protects nothing there; it keeps paths that would mean
// something else to a URL parser or to an S3-compatible store from ever being used.
func CheckPath(path string) error {
	if len(path) > maxPath || !utf8.ValidString(path) || strings.ContainsAny(path, "\\\x00") {
		return errPath
	}
	for segment := range strings.SplitSeq(path, "/") {
		decoded, err := url.PathUnescape(segment)
		if err != nil || special(segment) || special(decoded) || strings.ContainsAny(decoded, "/\\\x00") {
			return errPath
		}
	}
	return nil
}

// check is CheckPath for a packet of an environment, whose id names a directory.
func check(envID, path string) error {
	if envID == "" || strings.Trim(envID, "0123456789abcdefghijklmnopqrstuvwxyz") != "" {
		return errPath
	}
	return CheckPath(path)
}

// special reports whether a segment is no name of its own.
func special(segment string) bool { return segment == "" || segment == "." || segment == ".." }

var errPath = fault.New(fault.Malformed, "Invalid packet storage path")
