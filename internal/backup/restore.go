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

	"sear/internal/store"
)

// never is how late something may be in a store that no server runs on.
const never = 100 * 365 * 24 * time.Hour

// maxManifest bounds the manifest, which has a line for each packet.
const maxManifest = 1 << 30

// Restore makes a data directory of a file. What it makes is complete and checked, and
// held: a server on it starts nothing until it is resumed, for the original may be alive.
// A directory that holds anything is refused, and when it fails there is none.
func Restore(ctx context.Context, file, dir string, l Layout, log *slog.Logger) (m Manifest, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return m, err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return m, fmt.Errorf("%s is not empty: a restore overwrites nothing", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return m, err
	}
	aside, err := os.MkdirTemp(parent, ".restore-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(aside) // it has another name when all went well
	if m, err = unpack(ctx, file, aside, l, log); err != nil {
		return m, err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	if err := os.Rename(aside, dir); err != nil {
		return m, err
	}
	return m, syncDir(parent)
}

// Verify restores a file aside, checks that and removes it.
func Verify(ctx context.Context, file string, l Layout, log *slog.Logger) (m Manifest, err error) {
	aside, err := os.MkdirTemp("", "sear-verify-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(aside)
	return unpack(ctx, file, aside, l, log)
}

// unpack fills a directory from a file and checks what came of it.
func unpack(ctx context.Context, file, dir string, l Layout, log *slog.Logger) (m Manifest, err error) {
	f, err := os.Open(file)
	if err != nil {
		return m, err
	}
	defer f.Close()
	m, err = extract(ctx, f, dir, l)
	if err != nil {
		return m, fmt.Errorf("%s is no whole backup: %w", file, err)
	}
	return m, inspect(ctx, filepath.Join(dir, l.Database), m, log)
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
	return m, syncDir(dir)
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

// inspect opens a restored store, which brings its schema up to date, compares its rows
// with those of the original, checks all that must hold, and holds it.
func inspect(ctx context.Context, database string, m Manifest, log *slog.Logger) (err error) {
	st, err := store.Open(ctx, "sqlite:"+database, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	n, err := counts(ctx, st)
	if err != nil {
		return err
	}
	if !maps.Equal(n, m.Counts) {
		return fmt.Errorf("the restored store has the rows %v, and the original had %v", n, m.Counts)
	}
	a, err := st.Audit(ctx, time.Now(), never)
	if err != nil {
		return err
	}
	for _, v := range a.Violations {
		err = errors.Join(err, fmt.Errorf("%s: not so for %d, such as %s", v.Rule, v.Count, strings.Join(v.Examples, ", ")))
	}
	if err != nil {
		return err
	}
	return st.Update(ctx, func(tx *store.Tx) error {
		return tx.SetSetting(store.SettingHeld, time.Now().UTC().Format(time.RFC3339))
	})
}
