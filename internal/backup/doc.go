// Package backup puts all that a Sear on SQLite knows into one file, while it runs, and
// makes a data directory of such a file again. It knows neither runs nor requests.
package backup
