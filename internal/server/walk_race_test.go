//go:build race

package server_test

func init() { slowdown = 30 } // what the race detector costs: SQLite is Go too
