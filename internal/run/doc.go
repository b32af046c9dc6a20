// Package run says what a run is and every way it may change. It does no I/O,
// reads no clock and draws no random number: time, ids and jitter are arguments.
//
// A reader starts at [Decide] in decide.go: one function per command, each in the
// file of its family. The same commands are written down as scripts in testdata
// and as a matrix in docs/run-states.md.
package run
