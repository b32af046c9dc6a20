package api

// Listed is a line of the routes page, for tests from outside.
type Listed struct {
	Path    string
	Browser bool // pages of other origins may call it
}

// Surface is the routes page.
func Surface() (all []Listed) {
	for _, r := range (&API{}).routes() {
		all = append(all, Listed{r.path, r.browser})
	}
	return all
}
