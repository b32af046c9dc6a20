// Package schedule knows when a schedule fires: cron expressions, time zones, windows,
// next and previous times, and the English of an expression. It agrees with the libraries
// of the official server (cron-parser 4.9.0, cronstrue 2.50.0); testdata holds what they
// answered, and test/tools/cron records it.
package schedule
