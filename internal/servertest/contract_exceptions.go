package servertest

import "strings"

// exception is a place where the document contradicts the official client, itself, or what a
// server must be able to say. The client wins.
type exception struct {
	operation string // "" for all
	status    int    // 0 for all
	part      string // request, response, or status for one that the document does not list
	text      string // is part of what the validator says; "" for whatever it says
	why       string
}

const (
	scopesWhy = "the document does not know credentials that are held to scopes"
	sizeWhy   = "the document does not know limits of size"
	shapeWhy  = "bodies and queries that break their shape are refused where the document has no status for it"
)

var exceptions = []exception{
	{"", 403, "status", "", scopesWhy},
	{"", 413, "status", "", sizeWhy},
	{"", 0, "response", "$.error: value must be", "the document has one example of an error text for all; the client shows whatever it is"},
	{"", 200, "request", "contains reserved characters", "the client sends lists with commas as they are"},

	{"trigger_task_v1", 422, "status", "", "the client is told of rules that are broken by 422"},
	{"update_run_metadata_v1", 422, "status", "", "the reference has 422 for a run that ended"},
	{"add_run_tags_v1", 404, "status", "", "the document forgets runs that do not exist"},
	{"list_project_runs_v1", 404, "status", "", "the document forgets projects that do not exist"},
	{"create_waitpoint_token_v1", 400, "status", "", shapeWhy},
	{"complete_waitpoint_token_v1", 400, "status", "", shapeWhy},
	{"list_waitpoint_tokens_v1", 400, "status", "", shapeWhy},

	{"list_runs_v1", 200, "request", "$.size: minimum", "the server the client was written for takes pages of 1"},
	{"list_project_runs_v1", 200, "request", "$.size: minimum", "the server the client was written for takes pages of 1"},
	{"list_runs_v1", 200, "request", "$.status", "the client asks for the statuses it knows, which are more"},
	{"list_project_runs_v1", 200, "request", "$.status", "the client asks for the statuses it knows, which are more"},
	{"list_runs_v1", 200, "response", ".status: value must be", "the document has DELAYED for one run and not for a list; the client knows more"},
	{"list_project_runs_v1", 200, "response", ".status: value must be", "likewise"},
	{"reschedule_run_v1", 200, "request", "$.delay: 'oneOf' failed", "a date is a string: the two forms in the document overlap"},
	{"complete_waitpoint_token_callback_v1", 200, "request", "could not be decoded", "a body that is not JSON is taken as {}"},
	{"complete_waitpoint_token_callback_v1", 200, "request", ": got", "a body that is JSON and no object is taken as it is"},
	{"retrieve_run_v1", 200, "response", "$.payload", "a payload may be any JSON"},
	{"retrieve_run_v1", 200, "response", "$.output", "so may an output"},
	{"retrieve_run_v1", 200, "response", "$.status", "the client knows DEQUEUED, WAITING, EXPIRED and TIMED_OUT, the document does not"},
	{"trigger_task_v1", 200, "request", "$.options.concurrencyKey: got number", "the reference takes numbers"},
	{"reschedule_run_v1", 200, "request", "$.delay: got number", "the server takes a number of milliseconds too"},
	{"add_run_tags_v1", 200, "request", "$.tags", "a tag that is there already is dropped, not refused"},
}

// excuse returns the exception that allows a difference, nil when there is none.
func excuse(operation string, status int, part, text string) *exception {
	for i := range exceptions {
		e := &exceptions[i]
		if (e.operation == "" || e.operation == operation) && (e.status == 0 || e.status == status) &&
			e.part == part && strings.Contains(text, e.text) {
			return e
		}
	}
	return nil
}
