package blob_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"sear/internal/blob"
	"sear/internal/fault"
	"sear/internal/run"
)

const env = "0da1ccbsl68g00000000000001"

func open(t *testing.T) (*blob.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data", "packets")
	s, err := blob.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// onEach runs a test on each place of packets, with an environment of its own.
func onEach(t *testing.T, test func(t *testing.T, s *blob.Store, env string)) {
	t.Helper()
	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t)
		test(t, s, env)
	})
	t.Run("s3", func(t *testing.T) {
		t.Parallel()
		s, _ := openS3(t)
		test(t, s, strings.ToLower(rand.Text()))
	})
}

// load is a packet's type and content.
func load(t *testing.T, s *blob.Store, envID, path string) (string, string) {
	t.Helper()
	p, err := s.Open(t.Context(), envID, path)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var b strings.Builder
	if n, err := io.Copy(&b, p); err != nil || n != p.Size {
		t.Fatalf("read %d bytes of %d: %v", n, p.Size, err)
	}
	return p.Type, b.String()
}

// files lists the files below a directory.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPutAndOpen(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *blob.Store, env string) {
		putAndOpen(t, s, env, map[string]string{
			"a": "1", "trigger/packet_x/payload.json": `{"json":"ä"}`, "empty": "", "run_1-1/output.txt": "x\ny\x00",
			"big": strings.Repeat("0123456789abcdef", 200_000), "huge": strings.Repeat("0123456789abcdef", blob.MaxSize/16), "ü/%41/a b:c*?+&#": "odd",
		})
	})
	s, _ := open(t) // file systems below an S3-compatible store may not tell these apart
	putAndOpen(t, s, env, map[string]string{"a": "1", "a/b": "2", "A": "3", strings.Repeat("n", 300): "long"})
}

func putAndOpen(t *testing.T, s *blob.Store, env string, packets map[string]string) {
	t.Helper()
	for path, content := range packets {
		if err := s.Put(t.Context(), env, path, "application/super+json", strings.NewReader(content)); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	for path, content := range packets {
		if typ, got := load(t, s, env, path); typ != "application/super+json" || got != content {
			t.Errorf("%s is %q of %d bytes, want %d", path, typ, len(got), len(content))
		}
	}
}

func TestPutReplaces(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *blob.Store, env string) {
		for _, p := range [][3]string{{env, "x/json", "first"}, {env + "other", "x/json", "theirs"}, {env, "x/text", "second"}} {
			if err := s.Put(t.Context(), p[0], "a", p[1], strings.NewReader(p[2])); err != nil {
				t.Fatal(err)
			}
		}
		if typ, got := load(t, s, env, "a"); typ != "x/text" || got != "second" {
			t.Errorf("the packet is %q %q", typ, got)
		}
		if _, got := load(t, s, env+"other", "a"); got != "theirs" {
			t.Errorf("the other environment's packet is %q", got)
		}
	})
}

func TestMissingAndDelete(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *blob.Store, env string) {
		if _, err := s.Open(t.Context(), env, "none"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a packet that is not there: %v", err)
		}
		if err := s.Put(t.Context(), env, "x", "text/plain", strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		for range 2 { // again is no error
			if err := s.Delete(t.Context(), env, "x"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Open(t.Context(), env, "x"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a deleted packet: %v", err)
		}
	})
}

func TestFailedPutChangesNothing(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	failedPuts(t, s, env)
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("files left behind: %v", left)
	}
	s, _ = openS3(t)
	failedPuts(t, s, strings.ToLower(rand.Text()))
}

func failedPuts(t *testing.T, s *blob.Store, env string) {
	t.Helper()
	if err := s.Put(t.Context(), env, "x", "text/plain", strings.NewReader("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		r    io.Reader
		typ  string
		want func(error) bool
	}{
		"too large":     {io.LimitReader(zeros{}, blob.MaxSize+1), "text/plain", func(err error) bool { return fault.Is(err, fault.TooLarge) }},
		"broken reader": {io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), "text/plain", func(err error) bool { return errors.Is(err, broken) }},
		"endless type":  {strings.NewReader("x"), strings.Repeat("t", 256), func(err error) bool { return fault.Is(err, fault.Malformed) }},
		"two headers":   {strings.NewReader("x"), "text/plain\r\nX: y", func(err error) bool { return fault.Is(err, fault.Malformed) }},
	} {
		if err := s.Put(t.Context(), env, "x", c.typ, c.r); !c.want(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, got := load(t, s, env, "x"); got != "old" {
		t.Errorf("the packet is %q", got)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestOpenRemovesWhatWasLeft(t *testing.T) {
	t.Parallel()
	_, dir := open(t)
	stale, fresh := filepath.Join(dir, "incoming", "packet-1"), filepath.Join(dir, "incoming", "packet-2")
	for _, f := range []string{stale, fresh} {
		if err := os.WriteFile(f, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(stale, old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := blob.Open(dir); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != 1 || got[0] != fresh {
		t.Errorf("files after opening again: %v", got)
	}
}

func TestOpenNeedsADirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := blob.Open(filepath.Join(file, "packets")); err == nil {
		t.Error("a file was taken for a directory")
	}
}

func TestDamagedFile(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	if err := s.Put(t.Context(), env, "x", "text/plain", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"", "no head", "{broken\nx"} {
		if err := os.WriteFile(files(t, dir)[0], []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(t.Context(), env, "x"); err == nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("a file with %q: %v", content, err)
		}
	}
}

// TestConcurrentPuts: readers see one of the packets that were put, whole.
func TestConcurrentPuts(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				if err := s.Put(t.Context(), env, "x/y", "text/plain", bytes.NewReader(bytes.Repeat([]byte{byte('a' + i)}, 100_000))); err != nil {
					t.Error(err)
				}
				_, got := load(t, s, env, "x/y")
				if len(got) != 100_000 || strings.Trim(got, got[:1]) != "" {
					t.Errorf("a packet of %d bytes that nobody put", len(got))
				}
			}
		})
	}
	wg.Wait()
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("files left: %v", got)
	}
}

func TestCheckPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"a": true, "a/b.json": true, "...": true, "a..b": true, ".hidden": true, "trigger/packet_1/payload.json": true, "a%20b": true,
		"my task/ü": true, strings.Repeat("a", 960): true,
		"": false, "/a": false, "a/": false, "a//b": false, ".": false, "..": false, "a/../b": false, "a/./b": false, `a\b`: false,
		"%2e%2e/a": false, "%2E": false, "a/%2e%2E": false, "a%2fb": false, "a%5cb": false, "%": false, "a%zz": false, "a\x00": false, "%00": false,
		"\xff": false, strings.Repeat("a", 961): false,
	} {
		if err := blob.CheckPath(path); (err == nil) != want {
			t.Errorf("CheckPath(%.40q) = %v, want %v", path, err, want)
		}
		if err := blob.CheckPath(path); err != nil && (!fault.Is(err, fault.Malformed) || err.Error() != "Invalid packet storage path") {
			t.Errorf("CheckPath(%.40q) = %v", path, err)
		}
	}
}

func TestPathsAreChecked(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *blob.Store, env string) {
		for _, c := range [][2]string{{env, "../x"}, {"", "x"}, {"..", "x"}, {"a/b", "x"}, {"Ä", "x"}} {
			if err := s.Put(t.Context(), c[0], c[1], "t", strings.NewReader("")); !fault.Is(err, fault.Malformed) {
				t.Errorf("Put(%q): %v", c, err)
			}
			if _, err := s.Open(t.Context(), c[0], c[1]); !fault.Is(err, fault.Malformed) {
				t.Errorf("Open(%q): %v", c, err)
			}
			if err := s.Delete(t.Context(), c[0], c[1]); !fault.Is(err, fault.Malformed) {
				t.Errorf("Delete(%q): %v", c, err)
			}
		}
	})
}

func TestOffload(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *blob.Store, env string) {
		for _, p := range []run.Packet{
			{}, {Data: "small", Type: run.TypeText}, {Data: strings.Repeat("x", blob.Inline), Type: run.TypeJSON}, {Data: "a/b", Type: run.TypeStore},
		} {
			if got, err := s.Offload(t.Context(), env, p, expected); err != nil || got != p {
				t.Errorf("a packet of %d bytes became %.40v, %v", len(p.Data), got, err)
			}
		}
		for _, p := range []run.Packet{{Data: strings.Repeat("x", blob.Inline+1), Type: run.TypeSuper}, {Data: "a\x00b", Type: run.TypeText}} {
			got, err := s.Offload(t.Context(), env, p, expected)
			if err != nil || got.Type != run.TypeStore {
				t.Fatalf("%.40v, %v", got, err)
			}
			if typ, data := load(t, s, env, got.Data); typ != p.Type || data != p.Data {
				t.Errorf("stored %q of %d bytes, want %q of %d", typ, len(data), p.Type, len(p.Data))
			}
			if again, err := s.Offload(t.Context(), env, p, expected); err != nil || again != got {
				t.Errorf("the same packet again: %v, %v", again, err)
			}
		}
	})
}

// expected is told of packets by Offload, and has nothing against them.
func expected(context.Context, string, string) error { return nil }

// TestOffloadIsExpected: whoever is to delete a packet that nobody needs is told of it before it
// is stored, and when that fails it is not stored.
func TestOffloadIsExpected(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *blob.Store, env string) {
		large := run.Packet{Data: strings.Repeat("x", blob.Inline+1), Type: run.TypeText}
		var told []string
		missing := func(when string) {
			t.Helper()
			p, err := s.Open(t.Context(), env, told[len(told)-1])
			if err == nil {
				p.Close()
			}
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: the packet is stored, %v", when, err)
			}
		}
		refused := errors.New("refused")
		for _, result := range []error{refused, nil} {
			got, err := s.Offload(t.Context(), env, large, func(_ context.Context, envID, path string) error {
				if told = append(told, path); envID != env {
					t.Errorf("told of a packet of %q", envID)
				}
				missing("when it is told")
				return result
			})
			if !errors.Is(err, result) || err == nil && got.Data != told[1] {
				t.Errorf("%.80v, %v; told of %q", got, err, told)
			}
			if result != nil {
				missing("when that fails")
			}
		}
		if len(told) != 2 {
			t.Errorf("told of %q", told)
		}
		never := func(context.Context, string, string) error { return refused }
		if _, err := s.Offload(t.Context(), env, run.Packet{Data: "small", Type: run.TypeText}, never); err != nil {
			t.Errorf("told of a packet that stays with its run: %v", err)
		}
	})
}

// FuzzPath: a path that passes stays below any prefix, however often it is decoded
// and resolved.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"a/b", "../a", "%2e%2e/%2e", "a\\b", "a/%2f/b", "%252e%252e"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if blob.CheckPath(path) != nil {
			return
		}
		if got := filepath.Join("/prefix", path); got != "/prefix/"+path {
			t.Errorf("%q resolves to %q", path, got)
		}
		if strings.Contains(path, "\x00") || strings.HasPrefix(path, "/") {
			t.Errorf("%q passed", path)
		}
	})
}
