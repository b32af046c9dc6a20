package api_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sear/internal/api"
	"sear/internal/blob"
	"sear/internal/servertest"
	"sear/internal/store"
)

// TestPacketsAreKnownBeforeTheyAreStored: whichever call stores a packet, a process that dies in
// between leaves a note about a packet that is not there, never a packet that nobody knows of and
// retention could not delete.
func TestPacketsAreKnownBeforeTheyAreStored(t *testing.T) {
	t.Parallel()
	large := func(n int) string { return strings.Repeat(fmt.Sprint(n), blob.Inline+1) }
	for name, call := range map[string]func(s *site, n int) servertest.Response{
		"trigger": func(s *site, n int) servertest.Response {
			return s.Call(s.t, "POST", triggerPath, `{"payload":"`+large(n)+`","options":{"payloadType":"text/plain"}}`)
		},
		"item of a batch": func(s *site, n int) servertest.Response {
			return s.sendItems(s.Client, s.newBatch(1), `{"index":0,"task":"my-task","payload":"`+large(n)+`","options":{"payloadType":"text/plain"}}`+"\n")
		},
		"batch in one piece": func(s *site, n int) servertest.Response {
			return s.Call(s.t, "POST", "/api/v2/tasks/batch", `{"items":[{"task":"my-task","payload":"`+large(n)+`","options":{"payloadType":"text/plain"}}]}`)
		},
		"completion of a token": func(s *site, n int) servertest.Response {
			token := servertest.Post[struct{ ID string }](s.t, s.Client, tokensPath, map[string]any{})
			return s.Call(s.t, "POST", tokensPath+"/"+token.ID+"/complete", `{"data":"`+large(n)+`"}`)
		},
		"upload": func(s *site, n int) servertest.Response {
			got := s.Call(s.t, "PUT", "/api/v2/packets/"+url.PathEscape(fmt.Sprint("up/", n)), nil)
			if got.Status != 200 {
				return got
			}
			return s.send("PUT", body[address](s.t, got).PresignedURL, "text/plain", large(n))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "packets")
			blobs, err := blob.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			s := newSiteWith(t, "sqlite:"+filepath.Join(t.TempDir(), "core.db"), api.Limits{}, blobs)

			s.exec(`CREATE TRIGGER unknown BEFORE INSERT ON packet_gone BEGIN SELECT RAISE(ABORT, 'cannot be noted'); END`)
			if got := call(s, 1); got.Status < 500 {
				t.Errorf("a packet that cannot be noted: %d %.200s", got.Status, got.Body)
			}
			if n := filesIn(t, dir); n != 0 {
				t.Errorf("%d packets are stored that nobody knows of", n)
			}

			s.exec(`DROP TRIGGER unknown`)
			in := filepath.Join(dir, "incoming")
			if err := os.Rename(in, in+"-away"); err != nil {
				t.Fatal(err)
			}
			if got := call(s, 2); got.Status < 500 {
				t.Errorf("a packet that cannot be stored: %d %.200s", got.Status, got.Body)
			}
			if list := s.unnamed(); len(list) != 1 {
				t.Errorf("noted when it could not be stored: %v", list)
			}

			if err := os.Rename(in+"-away", in); err != nil {
				t.Fatal(err)
			}
			if got := call(s, 2); got.Status >= 300 {
				t.Errorf("again: %d %.200s", got.Status, got.Body)
			}
			if n := filesIn(t, dir); n != 1 {
				t.Errorf("%d packets", n)
			}
			for _, p := range s.unnamed() { // the hour may have changed, and with it the path
				if there, err := blobs.Open(t.Context(), p.EnvID, p.Path); err == nil && name != "upload" {
					there.Close()
					t.Errorf("a packet that is named counts as one that nobody names: %s", p.Path)
				}
			}
		})
	}
}

// exec runs a statement of the test's.
func (s *site) exec(query string) {
	s.t.Helper()
	if err := s.store.Update(s.t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
		s.t.Fatal(err)
	}
}

// unnamed are the packets that retention will delete if nobody names them.
func (s *site) unnamed() (list []store.Packet) {
	s.t.Helper()
	err := s.store.View(s.t.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.DeadPackets(time.Now().AddDate(0, 0, 8), store.Packet{}, 10)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// filesIn counts the packets below a directory.
func filesIn(t *testing.T, dir string) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
