// Package store holds every query on Sear's own tables: runs, waitpoints, batches,
// queues, workers and tenants, one file per entity, for SQLite and Postgres alike.
// It decides nothing: the rules are in the domain packages, the transactions in engine.
package store
