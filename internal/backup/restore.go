package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sear/internal/blob"
	"sear/internal/fault"
	"sear/internal/store"
)

// never is how late something may be in a store that no server runs on.
const never = 100 * 365 * 24 * time.Hour

// maxManifest bounds the manifest, which has a line for each packet.
//
//limit:inside the list of contents of a backup that Sear wrote
const maxManifest = 1 << 30

// Restored is what came of a backup.
type Restored struct {
	Manifest
	Violations []store.Violation // of what must hold, which the original broke just the same
	Missing    []store.Packet    // packets that runs refer to and that are not in the file; those in a bucket are not
}

// Restore makes a data directory of a file. What it makes is complete, and held: a server
// on it starts nothing until it is resumed, for the original may be alive. What the
// original broke is broken in it too, and told. A directory that holds anything is
// refused, and when it fails it is as it was.
func Restore(ctx context.Context, file, dir string, l Layout, log *slog.Logger) (r Restored, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return r, err
	}
	entries, missing := os.ReadDir(dir)
	switch {
	case len(entries) > 0:
		return r, fmt.Errorf("%s is not empty: a restore overwrites nothing", dir)
	case missing != nil && !errors.Is(missing, fs.ErrNotExist):
		return r, missing
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return r, err
	}
	defer func() {
		if err == nil {
			return
		}
		for _, name := range []string{l.Database, l.Packets, l.Key} { // nothing was there before
			os.RemoveAll(filepath.Join(dir, name))
		}
		if errors.Is(missing, fs.ErrNotExist) {
			os.Remove(dir)
		}
	}()
	aside, err := os.MkdirTemp(dir, ".restore-") // in it, because it may be a file system of its own
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(aside)
	if r, err = unpack(ctx, file, aside, l, log); err != nil {
		return r, err
	}
	for _, name := range []string{l.Packets, l.Key, l.Database} { // the database last: without it nothing is taken for a store
		if err := os.Rename(filepath.Join(aside, name), filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return r, err
		}
	}
	return r, errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
}

// Verify restores a file aside, beside it, checks that and removes it. What must hold and
// does not is an error; see Restored for what else may be amiss.
func Verify(ctx context.Context, file string, l Layout, log *slog.Logger) (r Restored, err error) {
	aside, err := os.MkdirTemp(filepath.Dir(file), ".verify-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(aside)
	if r, err = unpack(ctx, file, aside, l, log); err != nil {
		return r, err
	}
	for _, v := range r.Violations {
		if !v.Passing {
			err = errors.Join(err, fmt.Errorf("%s: not so for %d, such as %s", v.Rule, v.Count, strings.Join(v.Examples, ", ")))
		}
	}
	return r, err
}

// unpack fills a directory from a file and looks at what came of it.
func unpack(ctx context.Context, file, dir string, l Layout, log *slog.Logger) (r Restored, err error) {
	f, err := os.Open(file)
	if err != nil {
		return r, err
	}
	defer f.Close()
	if r.Manifest, err = extract(ctx, f, dir, l); err != nil {
		return r, fmt.Errorf("%s is no whole backup: %w", file, err)
	}
	database := "sqlite:" + filepath.Join(dir, l.Database)
	if err := r.compare(ctx, database); err != nil {
		return r, err
	}
	return r, r.inspect(ctx, database, filepath.Join(dir, l.Packets), log)
}

// extract writes the members of a file into a directory and compares their sums.
func extract(ctx context.Context, from io.Reader, dir string, l Layout) (m Manifest, err error) {
	zip, err := gzip.NewReader(from)
	if err != nil {
		return m, err
	}
	sums := map[string]string{}
	for r := tar.NewReader(zip); ; {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return m, err
		}
		if head.Name == manifestName {
			if err := json.NewDecoder(io.LimitReader(r, maxManifest)).Decode(&m); err != nil {
				return m, err
			}
			continue
		}
		if !l.holds(head) {
			return m, fmt.Errorf("it has a member %q", head.Name)
		}
		if sums[head.Name], err = extractFile(r, filepath.Join(dir, filepath.FromSlash(head.Name))); err != nil {
			return m, err
		}
	}
	if _, err := io.Copy(io.Discard, zip); err != nil { // up to the sum at its end
		return m, err
	}
	switch {
	case m.Format == 0:
		return m, errors.New("its end is missing")
	case m.Format != Format:
		return m, fmt.Errorf("it has format %d, and this program knows %d", m.Format, Format)
	case !maps.Equal(sums, m.Members):
		return m, errors.New("its members are not those it was written with")
	case sums[l.Database] == "":
		return m, errors.New("it has no database")
	}
	return m, filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = syncDir(at)
		}
		return err
	})
}

// holds reports whether a member has a place in a data directory.
func (l Layout) holds(head *tar.Header) bool {
	name := head.Name
	return head.Typeflag == tar.TypeReg && filepath.IsLocal(filepath.FromSlash(name)) &&
		(name == l.Database || name == l.Key || strings.HasPrefix(name, l.Packets+"/"))
}

func extractFile(from io.Reader, to string) (sum string, err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, h), from)
	return digest(h), errors.Join(err, f.Sync(), f.Close())
}

// compare compares the rows of a restored store, as it was written, with those of the original.
func (r *Restored) compare(ctx context.Context, database string) error {
	st, err := store.Reader(ctx, database)
	if err != nil {
		return err
	}
	defer st.Close()
	n, err := counts(ctx, st)
	if err != nil {
		return err
	}
	for table, want := range r.Counts {
		if got, known := n[table]; known && got != want {
			return fmt.Errorf("the restored store has %d rows of %s, and the original had %d", got, table, want)
		}
	}
	return nil
}

// inspect opens a restored store, which brings its schema up to date, looks for what does
// not hold in it and for packets that are missing, and holds it.
func (r *Restored) inspect(ctx context.Context, database, packets string, log *slog.Logger) (err error) {
	st, err := store.Open(ctx, database, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	a, err := st.Audit(ctx, time.Now(), never)
	if err != nil {
		return err
	}
	r.Violations = a.Violations
	blobs, err := blob.Open(packets)
	if err != nil {
		return err
	}
	var named []store.Packet
	if err := st.View(ctx, func(tx *store.Tx) (err error) { named, err = tx.NamedPackets(); return err }); err != nil {
		return err
	}
	for _, p := range named {
		switch there, err := blobs.Open(ctx, p.EnvID, p.Path); {
		case err == nil:
			there.Close()
		case fault.Is(err, fault.NotFound):
			r.Missing = append(r.Missing, p)
		default:
			return err
		}
	}
	return st.Update(ctx, func(tx *store.Tx) error {
		return tx.BecomeCopy(time.Now())
	})
}
