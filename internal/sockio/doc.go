// Package sockio is the server side of Socket.IO v5 over Engine.IO v4, on WebSocket
// only: namespaces, rooms, events with acknowledgements, and heartbeats. It does not
// know what the events mean, and it leaves out what no official client uses: HTTP
// polling, binary attachments and connection-state recovery.
//
// Each connection has a goroutine that reads and runs the handlers and one that
// writes and keeps the heartbeat. Emitting only ever queues, so that no client can hold up another.
package sockio
