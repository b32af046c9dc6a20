// Package version says which Sear this is.
package version

import "runtime/debug"

// release is set by the linker: -X sear/internal/version.release=v1.2.3, as the Makefile
// and deploy/Dockerfile do.
var release string

// Text is the version of this program: what it was built as, else what the toolchain
// knows, such as a tag or "(devel)", else "unknown".
func Text() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
