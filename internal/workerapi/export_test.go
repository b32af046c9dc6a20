package workerapi

import "time"

// Processes is for tests.
var Processes = processes

// SetPoll changes how long dequeues wait, for tests.
func SetPoll(a *API, d time.Duration) { a.poll = d }
