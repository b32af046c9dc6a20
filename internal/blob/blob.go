package blob

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sear/internal/fault"
)

// MaxSize is the size of the largest packet, in bytes. The SDK gives up on outputs
// above 10 MB.
const MaxSize = 32 << 20

// incoming is the directory of files that are being written.
const incoming = "incoming"

// staleAfter is how long after its last write an unfinished file is certainly
// nobody's any more.
const staleAfter = time.Hour

// Store keeps packets in a directory. It is safe for concurrent use, also by several
// processes.
type Store struct{ dir string }

// Open makes a store of a directory, which is created when it is missing, and removes
// what a process that crashed left half written there.
func Open(dir string) (*Store, error) {
	s := &Store{dir}
	if err := makeDir(filepath.Join(dir, incoming)); err != nil {
		return nil, fmt.Errorf("packet store: %w", err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, incoming))
	if err != nil {
		return nil, fmt.Errorf("packet store: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(dir, incoming, e.Name())) // the next start tries again
		}
	}
	return s, nil
}

// head is the first line of a file; the packet follows. Keeping both in one file
// makes them appear together. The path is there for people.
type head struct {
	Type string `json:"type"`
	Path string `json:"path"`
}

// maxHead bounds the head of a file.
const maxHead = 8 << 10

// Put stores what r holds as the packet of an environment under a path, in place of
// what was there. When it returns without an error the packet is durable; with one,
// nothing has changed. A path that may not be used is a fault.Malformed, a packet of
// more than MaxSize a fault.TooLarge.
func (s *Store) Put(envID, path, mediaType string, r io.Reader) (err error) {
	if err := check(envID, path); err != nil {
		return err
	}
	first, err := json.Marshal(head{mediaType, path})
	if err != nil || len(first) >= maxHead {
		return fault.New(fault.Malformed, "Invalid content type")
	}
	f, err := os.CreateTemp(filepath.Join(s.dir, incoming), "packet-*")
	if err != nil {
		return fmt.Errorf("store packet: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	err = write(f, first, r)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return s.publish(f.Name(), s.file(envID, path))
}

// write fills a new file and makes its content durable.
func write(f *os.File, first []byte, r io.Reader) error {
	if _, err := f.Write(append(first, '\n')); err != nil {
		return fmt.Errorf("store packet: %w", err)
	}
	n, err := io.Copy(f, io.LimitReader(r, MaxSize+1))
	switch {
	case n > MaxSize:
		return fault.Newf(fault.TooLarge, "Packets cannot be larger than %d bytes", MaxSize)
	case err != nil:
		return fmt.Errorf("store packet: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("store packet: %w", err)
	}
	return nil
}

// publish gives a finished file its name, durably.
func (s *Store) publish(from, to string) error {
	dir := filepath.Dir(to)
	if err := makeDir(dir); err != nil {
		return fmt.Errorf("store packet: %w", err)
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("store packet: %w", err)
	}
	return syncDir(dir)
}

// file is where a packet lies. The hash makes a name of bounded length out of any
// path, on file systems that do not tell upper from lower case too, and lets "a" and
// "a/b" live side by side.
func (s *Store) file(envID, path string) string {
	sum := sha256.Sum256([]byte(path))
	name := hex.EncodeToString(sum[:])
	return filepath.Join(s.dir, envID, name[:2], name)
}

// Packet is an open packet.
type Packet struct {
	Type string // media type it was stored with
	Size int64
	body *bufio.Reader
	file *os.File
}

// Open opens the packet of an environment under a path, fault.NotFound when there is
// none. The caller closes it.
func (s *Store) Open(envID, path string) (*Packet, error) {
	if err := check(envID, path); err != nil {
		return nil, err
	}
	f, err := os.Open(s.file(envID, path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "Packet not found")
	}
	if err != nil {
		return nil, fmt.Errorf("open packet: %w", err)
	}
	p, err := read(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("packet %q: %w", path, err), f.Close())
	}
	return p, nil
}

// read reads the head of a packet's file.
func read(f *os.File) (*Packet, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	body := bufio.NewReaderSize(f, maxHead)
	first, err := body.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	var h head
	if err := json.Unmarshal(first, &h); err != nil {
		return nil, err
	}
	return &Packet{Type: h.Type, Size: info.Size() - int64(len(first)), body: body, file: f}, nil
}

// Read reads the packet.
func (p *Packet) Read(b []byte) (int, error) { return p.body.Read(b) }

// WriteTo writes the packet to w, as io.Copy does if it can.
func (p *Packet) WriteTo(w io.Writer) (int64, error) { return p.body.WriteTo(w) }

// Close closes the packet.
func (p *Packet) Close() error { return p.file.Close() }

// Delete removes a packet. It is no error if there is none.
func (s *Store) Delete(envID, path string) error {
	if err := check(envID, path); err != nil {
		return err
	}
	name := s.file(envID, path)
	err := os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete packet: %w", err)
	}
	return syncDir(filepath.Dir(name))
}

// makeDir makes a directory and those above it, durably.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
