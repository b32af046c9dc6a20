// Package sqldb runs one set of SQL texts on SQLite or PostgreSQL: it opens and
// migrates a database, runs transactions, groups commits and carries hints. It
// knows no table but its own schema_migration; queries belong to package store.
//
// # Writing SQL that runs on both
//
// Placeholders are $1…$n. What the databases spell differently is a token:
//
//	{{in $1}}        a list argument made by List: WHERE id {{in $1}}
//	{{lock}}         row lock held until commit (nothing on SQLite, whose writer is alone)
//	{{skip locked}}  the same, passing over rows that others hold
//	{{share}}        row lock that keeps writers out and lets other sharers in
//	{{values}}       the rows of InsertRows
//
// One statement at a time: close Rows (or read them to the end) before the next.
// A statement that failed spoils the transaction on Postgres, so return its error.
// Constraints must not be deferred: on SQLite one commit serves many callers.
//
// # Promises
//
// When Update returns nil the change is on stable storage. When it returns an
// error nothing of fn's work remains, with one exception no database can spare
// us: a Postgres connection lost during COMMIT.
package sqldb
