// Package servertest runs whole servers for tests, each in a process of its own that
// can be killed, with a client of the HTTP API, one of the socket, and a worker
// whose tasks are Go functions. Nothing but tests may import it.
package servertest
