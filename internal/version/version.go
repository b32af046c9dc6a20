// Package version says which Sear this is.
package version

import "runtime/debug"

// Text is the version that the toolchain wrote into the binary: the tag it was built from,
// or the commit; "(devel)" or "unknown" when it knew neither.
func Text() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
