// Package deploy says what a background worker is: the tasks, queues and
// schedules of one build, and the version it gets. It does no I/O.
package deploy
