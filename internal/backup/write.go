package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"sear/internal/store"
	"sear/internal/version"
)

// Layout is what lies where in a data directory.
type Layout struct {
	Database string // file of the store
	Key      string // file of the key that seals secrets
	Packets  string // directory of large payloads
}

// Format is the version of the file's layout.
const Format = 1

// manifestName is the last member of a file, so that one that was cut off has none.
const manifestName = "manifest.json"

// Manifest says what is in a file.
type Manifest struct {
	Format  int               `json:"format"`
	Sear    string            `json:"sear"` // version of the program that wrote it
	At      time.Time         `json:"at"`   // no later than any commit that is missing
	Counts  map[string]int64  `json:"counts"`
	Members map[string]string `json:"members"` // SHA-256 by name
}

// Options are the choices of Write.
type Options struct {
	NoKey bool // leave the key out, for one that is kept elsewhere
}

// Write writes a backup of a data directory, whose server may be running, to a new file.
// All that was acknowledged before it began is in it. When it fails there is no file.
func Write(ctx context.Context, dir string, l Layout, file string, o Options) (m Manifest, err error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s exists: a backup overwrites nothing", file)
	}
	aside, err := os.MkdirTemp(filepath.Dir(file), ".backup-") // what a crash leaves lies beside the file
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(aside)
	f, err := os.OpenFile(filepath.Join(aside, "file"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return m, err
	}
	m, err = write(ctx, f, aside, dir, l, o)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return m, err
	}
	if err := publish(f.Name(), file); err != nil {
		return m, err
	}
	return m, syncDir(filepath.Dir(file))
}

// publish gives a finished file its name, unless something has it.
func publish(from, to string) error {
	err := os.Link(from, to) // unlike a rename, it overwrites nothing
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // exFAT and SMB have no links: this holds the place
	if err != nil {
		return err
	}
	if err := errors.Join(f.Close(), os.Rename(from, to)); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

func write(ctx context.Context, out io.Writer, aside, dir string, l Layout, o Options) (m Manifest, err error) {
	m = Manifest{Format: Format, Sear: version.Text(), At: time.Now().UTC(), Members: map[string]string{}}
	zip, _ := gzip.NewWriterLevel(out, gzip.BestSpeed) // the level is one there is
	w := &writer{ctx: ctx, tar: tar.NewWriter(zip), manifest: &m}
	if err := w.database(filepath.Join(dir, l.Database), aside, l.Database); err != nil {
		return m, fmt.Errorf("the database: %w", err)
	}
	if !o.NoKey {
		if err := w.file(filepath.Join(dir, l.Key), l.Key); err != nil {
			return m, fmt.Errorf("the key of the secrets: %w", err)
		}
	}
	// Packets are written before the commit that names them, so those of the copy are all there.
	if err := w.tree(filepath.Join(dir, l.Packets), l.Packets); err != nil {
		return m, fmt.Errorf("the packets: %w", err)
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	head := &tar.Header{Name: manifestName, Mode: 0o600, Size: int64(len(text)), ModTime: m.At}
	if err := w.tar.WriteHeader(head); err != nil {
		return m, err
	}
	_, err = w.tar.Write(text)
	return m, errors.Join(err, w.tar.Close(), zip.Close())
}

// writer adds members.
type writer struct {
	ctx      context.Context
	tar      *tar.Writer
	manifest *Manifest
}

// database adds a copy of the store, which lies aside meanwhile.
func (w *writer) database(from, aside, name string) (err error) {
	st, err := store.Reader(w.ctx, "sqlite:"+from)
	if err != nil {
		return err
	}
	defer st.Close()
	copied := filepath.Join(aside, name)
	if err := st.CopyTo(w.ctx, copied); err != nil {
		return err
	}
	copy, err := store.Reader(w.ctx, "sqlite:"+copied)
	if err != nil {
		return err
	}
	if w.manifest.Counts, err = counts(w.ctx, copy); err != nil {
		return errors.Join(err, copy.Close())
	}
	if err := copy.Close(); err != nil {
		return err
	}
	return w.file(copied, name)
}

// counts counts the rows by which a restored store is compared.
func counts(ctx context.Context, st *store.Store) (n map[string]int64, err error) {
	err = st.View(ctx, func(tx *store.Tx) error {
		n, err = tx.Counts()
		return err
	})
	return n, err
}

// tree adds the files below a directory. Those that vanish meanwhile belong to nobody any more.
func (w *writer) tree(dir, name string) error {
	return filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		if err := w.file(at, path.Join(name, filepath.ToSlash(rel))); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// file adds one file.
func (w *writer) file(from, name string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(w.tar, sum), f, info.Size()); err != nil {
		return err
	}
	w.manifest.Members[name] = digest(sum)
	return nil
}

func digest(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
