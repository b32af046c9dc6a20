// Package jsdate reads dates as the Date of Node does, so that a text that somebody passes to
// the official client or to the API means here what it means there. It knows nothing of
// durations, and writes no dates.
//
// There are two grammars, tried one after the other as ECMAScript has it: that of the standard
// (2026-11-30T10:00:00.000Z and its parts), and what V8 makes of any other text. The second is
// known by observation only: the tests compare with Node.
package jsdate
