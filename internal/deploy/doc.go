// Package deploy says what a background worker is: the tasks, queues and
// schedules of one build, and the version it gets; and what a deployment is and
// every way it may change. It does no I/O.
package deploy
