//go:build race

package server_test

func init() { slowdown = 10 } // what the race detector costs
