package api

import "sear/internal/auth"

// Listed is a line of the routes page, for tests from outside.
type Listed struct {
	Method, Path string
	Classes      []auth.Class
	Browser      bool
}

// Surface is the routes page.
func Surface() (all []Listed) {
	for _, r := range (&API{}).routes() {
		all = append(all, Listed{r.method, r.path, r.classes, r.browser})
	}
	return all
}
