// Package pgtest gives tests an empty PostgreSQL schema in a private cluster. It
// does not open databases: tests pass its URLs to package sqldb.
package pgtest
