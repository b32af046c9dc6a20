package blob

import (
	"cmp"
	"context"
	"io"
	"strings"
	"time"

	"sear/internal/fault"
)

// MaxSize is the size of the largest packet that passes through Sear, in bytes. The
// SDK gives up on outputs above 10 MB.
//
//limit:packets A packet that is uploaded | bytes | 413 Packets cannot be larger than {} bytes
const MaxSize = 32 << 20

// maxType bounds a media type, in bytes.
//
//limit:packets The media type of a packet | bytes | 400 Invalid content type
const maxType = 255

// Store keeps packets. It is safe for concurrent use, also by several processes that
// keep theirs in the same place.
type Store struct {
	place backend
	old   *disk // with S3: what was kept on disk before, and stays there
}

// backend is a place of packets. Environments and paths were checked before.
type backend interface {
	// put stores a packet durably, in place of what was there, or changes nothing.
	// Errors of r come back as they are.
	put(ctx context.Context, envID, path, mediaType string, r io.Reader) error
	// open opens a packet, errMissing when there is none.
	open(ctx context.Context, envID, path string) (*Packet, error)
	// delete removes a packet. It is no error if there is none.
	delete(ctx context.Context, envID, path string) error
	// address is a URL that permits one method on a packet without a credential, ""
	// when the place can be reached only through Sear.
	address(method, envID, path string, life time.Duration) (string, error)
}

// Open makes a store of a directory, which is created when it is missing, and removes
// what a process that crashed left half written there.
func Open(dir string) (*Store, error) {
	d, err := newDisk(dir)
	if err != nil {
		return nil, err
	}
	return &Store{place: d}, nil
}

// OpenS3 makes a store of a bucket, which must exist and answer: within half a minute
// there is a store or an error that says what is wrong. Packets that Open has kept in
// the directory are still found, replaced and deleted there; no new ones are added.
func OpenS3(ctx context.Context, dir string, c S3) (*Store, error) {
	d, err := newDisk(dir)
	if err != nil {
		return nil, err
	}
	b, err := newBucket(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Store{place: b, old: &d}, nil
}

// of is the place of a packet.
func (s *Store) of(envID, path string) backend {
	if s.old != nil && s.old.has(envID, path) {
		return s.old
	}
	return s.place
}

// Put stores what r holds as the packet of an environment under a path, in place of
// what was there. When it returns without an error the packet is durable; with one,
// nothing has changed. A path or media type that may not be used is a
// fault.Malformed, a packet of more than MaxSize a fault.TooLarge, a bucket that
// fails a fault.Unavailable. Somebody has been told of the packet before, as Offload does:
// for uploads, whoever gave out the address.
func (s *Store) Put(ctx context.Context, envID, path, mediaType string, r io.Reader) error {
	if err := check(envID, path); err != nil {
		return err
	}
	if len(mediaType) > maxType || strings.ContainsFunc(mediaType, unprintable) {
		return fault.New(fault.Malformed, "Invalid content type")
	}
	return s.of(envID, path).put(ctx, envID, path, cmp.Or(mediaType, "application/octet-stream"), &limited{r, MaxSize})
}

// unprintable reports whether a rune has no place in a header.
func unprintable(r rune) bool { return r < ' ' || r > '~' }

// limited is a reader of at most left bytes; one that goes on is an error.
type limited struct {
	r    io.Reader
	left int
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.r.Read(b[:min(len(b), l.left+1)])
	if n > l.left {
		return 0, fault.Newf(fault.TooLarge, "Packets cannot be larger than %d bytes", MaxSize)
	}
	l.left -= n
	return n, err
}

// Packet is an open packet.
type Packet struct {
	Type  string // media type it was stored with
	Size  int64  // in bytes
	body  io.Reader
	close func() error
}

var errMissing = fault.New(fault.NotFound, "Packet not found")

// Open opens the packet of an environment under a path, fault.NotFound when there is
// none, fault.Unavailable when the bucket fails. The caller closes it.
func (s *Store) Open(ctx context.Context, envID, path string) (*Packet, error) {
	if err := check(envID, path); err != nil {
		return nil, err
	}
	return s.of(envID, path).open(ctx, envID, path)
}

// Read reads the packet.
func (p *Packet) Read(b []byte) (int, error) { return p.body.Read(b) }

// WriteTo writes the packet to w, as io.Copy does if it can.
func (p *Packet) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, p.body) }

// Close closes the packet.
func (p *Packet) Close() error { return p.close() }

// Delete removes a packet. It is no error if there is none; a bucket that fails is a
// fault.Unavailable. Packets under paths that Offload made are shared by all runs of
// an environment with the same content: the caller must know that nobody else refers
// to it, nor is just about to.
func (s *Store) Delete(ctx context.Context, envID, path string) error {
	if err := check(envID, path); err != nil {
		return err
	}
	return s.of(envID, path).delete(ctx, envID, path)
}

// URL is an address in the bucket that permits one method, GET or PUT, on a packet
// for a time of at most seven days, to whoever has it. It is "" for a packet that lies
// on disk: Sear serves that itself. What is sent to a bucket is not held to MaxSize.
func (s *Store) URL(method, envID, path string, life time.Duration) (string, error) {
	if err := check(envID, path); err != nil {
		return "", err
	}
	return s.of(envID, path).address(method, envID, path, life)
}
