package backup_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"sear/internal/backup"
	"sear/internal/store"
)

var layout = backup.Layout{Database: "core.db", Key: "secret.key", Packets: "packets"}

// written is a backup of a small data directory.
func written(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(dir, layout.Database), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for name, text := range map[string]string{"secret.key": "key", "packets/env/ab/abcd": "packet"} {
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if _, err := backup.Write(t.Context(), dir, layout, file, backup.Options{}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestDamage: a file that was cut off or altered anywhere is refused, unless what it
// restores is the same; and nothing is left of a restore that failed.
func TestDamage(t *testing.T) {
	t.Parallel()
	whole := written(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "damaged")
	verify := func(text []byte) (backup.Restored, error) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return backup.Verify(t.Context(), file, layout, slog.New(slog.DiscardHandler))
	}
	want, err := verify(whole)
	if err != nil || len(want.Members) != 3 {
		t.Fatalf("%+v, %v", want, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(whole)-1).Draw(t, "at")
		if got, err := verify(whole[:at]); err == nil {
			t.Fatalf("cut off after %d of %d bytes: %+v", at, len(whole), got)
		}
		altered := append([]byte(nil), whole...)
		altered[at] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
		if got, err := verify(altered); err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("altered at %d: %+v", at, got)
		}
	})
	if err := os.WriteFile(file, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, "data")
	if _, err := backup.Restore(t.Context(), file, target, layout, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file without its last byte was restored")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
