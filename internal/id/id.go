// Package id makes and takes apart the identifiers of Sear: an internal id that
// sorts by creation time, and the friendly form `<prefix>_<internal id>` that the
// API shows. It does not know what the things identified are.
package id

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

// Prefixes of friendly ids whose body is the internal id itself.
const (
	Run       = "run"
	Snapshot  = "snapshot"
	Waitpoint = "waitpoint"
	Batch     = "batch"
	Bulk      = "bulk"
	Worker    = "worker"
	Queue     = "queue"
	Schedule  = "sched"
	Error     = "error" // a group of failures

	Deployment = "deployment" // upstream's are random; these sort by time, which lists need
)

// Len is the length of an internal id minted here. Older 25-character ids are accepted where ids are read.
const Len = 26

// encoding keeps the byte order: a later time compares greater as text.
var encoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// suffix is the shard and generation marker that upstream appends to its sortable ids.
const suffix = "01"

// New mints an internal id for the given instant. Ids of different microseconds
// sort by time; within one microsecond the order is random.
func New(at time.Time) string {
	b := mint(at)
	return encoding.EncodeToString(b[:]) + suffix
}

// mint makes the bytes of an id: six of milliseconds, as upstream's have, ten bits of the
// microseconds after them, so that of two triggers one after the other the first is the
// first in the queue, and chance.
func mint(at time.Time) (b [15]byte) {
	rand.Read(b[6:]) // never fails since Go 1.24
	putTime(b[:8], at.UnixMicro())
	return b
}

// putTime keeps the last six bits of b.
func putTime(b []byte, us int64) {
	binary.BigEndian.PutUint64(b, uint64(us/1000)<<16|uint64(us%1000)<<6|uint64(b[7]&0x3f))
}

// Sequence mints n internal ids for one instant in ascending order, so that the
// items of a batch sort by their index.
func Sequence(at time.Time, n int) []string {
	b := mint(at)
	b[7] &^= 1 << 5 // room to count upwards without overflowing into the time
	ids := make([]string, n)
	low := binary.BigEndian.Uint64(b[6:14])
	for i := range ids {
		binary.BigEndian.PutUint64(b[6:14], low+uint64(i)<<20)
		ids[i] = encoding.EncodeToString(b[:]) + suffix
	}
	return ids
}

// Friendly is the form the API shows.
func Friendly(prefix, internal string) string { return prefix + "_" + internal }

// Internal strips the prefix of a friendly id. A bare internal id is accepted too,
// as upstream does. ok is false for another prefix, an empty body or foreign characters.
func Internal(prefix, s string) (internal string, ok bool) {
	if head, body, found := strings.Cut(s, "_"); found {
		if head != prefix {
			return "", false
		}
		s = body
	}
	if s == "" || len(s) > 64 {
		return "", false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return "", false
		}
	}
	return s, true
}

// The alphabets of ids and secrets that are random only.
const (
	Readable = "123456789abcdefghijkmnopqrstuvwxyz"                             // friendly ids without an internal one, PATs
	Alnum    = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // secret keys
	Lower    = "abcdefghijklmnopqrstuvwxyz"                                     // project references
)

// Random returns n characters drawn evenly from the alphabet, from the system's
// cryptographic source.
func Random(alphabet string, n int) string {
	out := make([]byte, 0, n)
	limit := byte(256/len(alphabet)*len(alphabet) - 1) // above it a byte would favour the first letters
	var buf [64]byte
	for len(out) < n {
		rand.Read(buf[:])
		for _, b := range buf {
			if b <= limit && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}
