package sqldb_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sear/internal/sqldb"
)

// TestLongTurnIsTold: who keeps all others from writing is in the log by name, once, also
// when the transaction fails; who does not is not.
func TestLongTurnIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		db, err := sqldb.Open(t.Context(), "sqlite::memory:", sqldb.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		slowCommand(t, db, 400*time.Millisecond, nil)
		if log.Len() > 0 {
			t.Errorf("an ordinary turn is told: %s", log.String())
		}
		for _, result := range []error{nil, errors.New("no")} {
			log.Reset()
			slowCommand(t, db, time.Second, result)
			if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") ||
				!strings.Contains(got, "took=1s") || !strings.Contains(got, `by="sqldb_test.slowCommand < `) {
				t.Errorf("log with the result %v: %s", result, got)
			}
		}
	})
}

func slowCommand(t *testing.T, db *sqldb.DB, d time.Duration, result error) {
	t.Helper()
	if err := db.Update(t.Context(), func(*sqldb.Tx) error { time.Sleep(d); return result }); !errors.Is(err, result) {
		t.Error(err)
	}
}

// TestAroundTurns: what a test puts around turns sees each of them, also those that fail.
func TestAroundTurns(t *testing.T) {
	t.Parallel()
	db, err := sqldb.Open(t.Context(), "sqlite::memory:", sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var begun, ended int
	db.AroundTurns(func(turn func()) {
		begun++
		turn()
		ended++
	})
	for _, result := range []error{nil, errors.New("no")} {
		if err := db.Update(t.Context(), func(*sqldb.Tx) error { return result }); !errors.Is(err, result) {
			t.Error(err)
		}
	}
	if begun != 2 || ended != 2 {
		t.Errorf("%d turns began and %d ended", begun, ended)
	}
}
