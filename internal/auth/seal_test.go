package auth_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"sear/internal/auth"
)

func TestSeal(t *testing.T) {
	t.Parallel()
	s := sealer(t, 1)
	plain := []byte("tr_dev_secret")
	sealed := s.Seal(plain, "api_key", "row1")
	if bytes.Contains(sealed, plain) {
		t.Fatal("the sealed value shows the plain one")
	}
	if got, err := s.Open(sealed, "api_key", "row1"); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("Open = %q, %v", got, err)
	}
	if bytes.Equal(sealed, s.Seal(plain, "api_key", "row1")) {
		t.Error("the same value seals to the same text twice")
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := s.Open(changed, "api_key", "row1"); err == nil {
			t.Fatalf("opens with byte %d changed", i)
		}
	}
	for name, open := range map[string]func() ([]byte, error){
		"another row":       func() ([]byte, error) { return s.Open(sealed, "api_key", "row2") },
		"another table":     func() ([]byte, error) { return s.Open(sealed, "pat", "row1") },
		"a shifted border":  func() ([]byte, error) { return s.Open(sealed, "api_keyrow", "1") },
		"another key":       func() ([]byte, error) { return sealer(t, 2).Open(sealed, "api_key", "row1") },
		"cut short":         func() ([]byte, error) { return s.Open(sealed[:len(sealed)-1], "api_key", "row1") },
		"shorter than that": func() ([]byte, error) { return s.Open(sealed[:5], "api_key", "row1") },
		"nothing":           func() ([]byte, error) { return s.Open(nil, "api_key", "row1") },
	} {
		if got, err := open(); err == nil {
			t.Errorf("%s: opens to %q", name, got)
		}
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", true},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", true},
		{"000102030405060708090a0b0c0d0e0f", false},
		{"", false},
		{"password", false},
	} {
		key, err := auth.ParseKey(c.text)
		if (err == nil) != c.ok || c.ok && (len(key) != auth.KeySize || key[31] != 31) {
			t.Errorf("ParseKey(%q) = %x, %v", c.text, key, err)
		}
	}
	if _, err := auth.NewSealer([]byte("short")); err == nil {
		t.Error("a short key makes a Sealer")
	}
}

func TestLoadOrCreateKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "server.key")
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = auth.LoadOrCreateKey(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if len(k) != auth.KeySize || !bytes.Equal(k, keys[0]) {
			t.Fatalf("keys differ: %x", keys)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.WriteFile(path, []byte("spoiled"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.LoadOrCreateKey(path); err == nil {
		t.Error("a spoiled key file is not noticed")
	}
	if _, err := auth.LoadOrCreateKey(filepath.Join(t.TempDir(), "no", "such", "folder")); err == nil {
		t.Error("a key in a folder that does not exist")
	}
}
