package workerapi

import (
	"time"

	"sear/internal/auth"
)

// Processes is for tests.
var Processes = processes

// SetPoll changes how long dequeues wait, for tests.
func SetPoll(a *API, d time.Duration) { a.poll = d }

// Listed is a line of the routes page, for tests from outside.
type Listed struct {
	Method, Path string
	Class        auth.Class
}

// Surface is the routes page.
func Surface() (all []Listed) {
	for _, r := range (&API{}).routes() {
		all = append(all, Listed{r.method, r.path, r.class})
	}
	return all
}
