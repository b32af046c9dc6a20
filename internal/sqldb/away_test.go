package sqldb_test

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"sear/internal/fault"
	"sear/internal/sqldb"
	"sear/internal/sqldb/pgtest"
)

// TestPostgresRestarts: callers are told to come again while Postgres is away, what was
// acknowledged before is there after it, and the database works again by itself.
func TestPostgresRestarts(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Own(t)
	db := open(t, cluster.URL, schema)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	acknowledged := make([]int, 8)
	for i := range acknowledged {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				err := db.Update(context.WithoutCancel(ctx), func(tx *sqldb.Tx) error {
					_, err := tx.Exec("INSERT INTO thing (id) VALUES ($1)", fmt.Sprint(i, "-", n))
					return err
				})
				if err == nil {
					acknowledged[i]++
				} else if fault.KindOf(err) != fault.Unavailable {
					t.Errorf("%v is no fault.Unavailable", err)
				}
			}
		})
	}
	for _, abruptly := range []bool{true, false} {
		if err := cluster.Restart(abruptly); err != nil {
			t.Fatal(err)
		}
		if err := db.Ping(t.Context()); err != nil { // idle connections are found to be dead and replaced
			t.Error(err)
		}
	}
	stop()
	wg.Wait()
	want := 0
	for _, n := range acknowledged {
		want += n
	}
	var got int
	err := db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow("SELECT count(*) FROM thing").Scan(&got) })
	if err != nil || got < want || want == 0 {
		t.Errorf("%d rows of %d acknowledged, %v", got, want, err)
	}
}

// TestPostgresOpensLater: a node that is started before its database waits for it.
func TestPostgresOpensLater(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Own(t)
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		db, err := sqldb.Open(t.Context(), cluster.URL, sqldb.Options{})
		if err == nil {
			err = db.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("opened without a database: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := cluster.Restart(false); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// frozenAndOthers are two nodes on one Postgres with a row that both want. The first has
// other settings of its session.
func frozenAndOthers(t *testing.T, settings url.Values) (frozen, others *sqldb.DB) {
	t.Helper()
	u, err := url.Parse(backends[1].url(t))
	if err != nil {
		t.Fatal(err)
	}
	others = open(t, u.String(), schema)
	exec(t, others, "INSERT INTO thing (id) VALUES ('a')")
	q := u.Query()
	for name, values := range settings {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	return open(t, u.String(), schema), others
}

// take wants the row.
const take = "UPDATE thing SET n = n + 1 WHERE id = 'a'"

// TestPostgresFreesWhatTheFrozenWaitFor: a node that stops while many of its transactions
// wait for a row does not get it once for each.
func TestPostgresFreesWhatTheFrozenWaitFor(t *testing.T) {
	t.Parallel()
	frozen, others := frozenAndOthers(t, url.Values{"idle_in_transaction_session_timeout": {"1000"}, "lock_timeout": {"500"}})
	ctx, thaw := context.WithCancel(t.Context())
	holds := make(chan struct{}, 5)
	var wg sync.WaitGroup
	for range cap(holds) {
		wg.Go(func() {
			_ = frozen.Update(t.Context(), func(tx *sqldb.Tx) error {
				if _, err := tx.Exec(take); err != nil {
					return err
				}
				holds <- struct{}{}
				<-ctx.Done()
				return nil
			})
		})
	}
	<-holds
	begin := time.Now()
	exec(t, others, take)
	if took := time.Since(begin); took > 2500*time.Millisecond {
		t.Errorf("others waited for %v", took)
	}
	thaw()
	wg.Wait()
}

// TestPostgresFreesWhatTheFrozenHold: a node that stops in the middle of a transaction
// loses it, and with it the rows that others want.
func TestPostgresFreesWhatTheFrozenHold(t *testing.T) {
	t.Parallel()
	frozen, others := frozenAndOthers(t, url.Values{"idle_in_transaction_session_timeout": {"50"}})
	err := frozen.Update(t.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(take); err != nil {
			return err
		}
		exec(t, others, take) // waits for the row
		_, err := tx.Exec(take)
		return err
	})
	if fault.KindOf(err) != fault.Unavailable {
		t.Errorf("the frozen transaction went on: %v", err)
	}
}
