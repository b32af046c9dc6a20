package sqldb

import (
	"context"
	"errors"
	"os"
)

// errCopy answers CopyTo on Postgres, which has its own tools.
var errCopy = errors.New("only an SQLite database can be copied to a file")

// CopyTo writes the database, as it is at one instant, to a new file, durably. It holds up
// no Update, also of another process, and the copy has no free pages. On an error no file
// is left.
func (db *DB) CopyTo(ctx context.Context, path string) (err error) {
	s, ok := db.backend.(*sqlite)
	if !ok {
		return errCopy
	}
	if err := createFile(path); err != nil { // with a mode that keeps others out; SQLite fills it
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(path)
		}
	}()
	c, err := openLite(ctx, fileURI(s.path, "ro"), s.dialect, basePragmas)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, statement{text: "VACUUM INTO $1"}, []any{path})
	if err := errors.Join(err, c.close()); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
