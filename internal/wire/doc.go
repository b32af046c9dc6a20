// Package wire knows the JSON of the public API and of the workers: what clients
// send and how that is checked, and the shapes they are answered with. It serves no
// request, reads no clock and never looks inside a payload except to show it.
package wire
