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
	declaredWhy = "the document forgets that declarative schedules belong to the code"
	scopesWhy   = "the document does not know credentials that are held to scopes"
	sizeWhy     = "the document does not know limits of size"
	// nullable is a word of OpenAPI 3.0. In the document, which is one of 3.1, it says nothing.
	nullableWhy = "the document means these to be nullable, and says so in the words of another version"

	shapeWhy = "bodies and queries that break their shape are refused where the document has no status for it"
)

var exceptions = []exception{
	{"", 403, "status", "", scopesWhy},
	{"", 413, "status", "", sizeWhy},
	{"", 429, "status", "", "the document does not know limits of rates"},
	{"", 500, "status", "", "the document does not list what must not happen"},
	{"", 503, "status", "", "nor what may work later; the client tries again"},
	{"", 0, "response", "$.error: value must be", "the document has one example of an error text for all; the client shows whatever it is"},
	{"", 200, "request", "contains reserved characters", "the client sends lists with commas as they are"},

	{"trigger_task_v1", 422, "status", "", "the client is told of rules that are broken by 422"},
	{"update_run_metadata_v1", 422, "status", "", "the reference has 422 for a run that ended"},
	{"add_run_tags_v1", 404, "status", "", "the document forgets runs that do not exist"},
	{"list_project_runs_v1", 404, "status", "", "the document forgets projects that do not exist"},
	{"create_waitpoint_token_v1", 400, "status", "", shapeWhy},
	{"complete_waitpoint_token_v1", 400, "status", "", shapeWhy},
	{"list_waitpoint_tokens_v1", 400, "status", "", shapeWhy},

	{"create_schedule_v1", 200, "request", "missing property 'deduplicationKey'", "the reference has the server make one up"},
	{"list_schedules_v1", 400, "status", "", shapeWhy},
	{"activate_schedule_v1", 422, "status", "", declaredWhy},
	{"deactivate_schedule_v1", 422, "status", "", declaredWhy},
	{"delete_schedule_v1", 422, "status", "", declaredWhy},
	{"batch_trigger_task_v1", 202, "status", "", "what older SDKs want, see docs/decisions/0006"},
	{"batch_trigger_task_v1", 422, "status", "", "the client is told of rules that are broken by 422"},
	{"batch_trigger_task_v1", 200, "request", ".options.tags: ", "an item that a rule refuses is a run that failed"},
	{"batch_trigger_task_by_id_v1", 200, "request", ".options.tags: ", "likewise"},
	{"get_run_trace_v1", 400, "status", "", shapeWhy},
	{"get_run_events_v1", 200, "response", ": got null", nullableWhy},
	{"upload_project_envvars_v1", 200, "request", "$.variables: got object", "the client sends a record"},
	{"upload_project_envvars_v1", 200, "request", "multipart/form-data", "the server the client was written for takes dotenv files too"},
	{"", 200, "request", "'preview' does not match any enum values", "the document forgets preview environments"},
	{"", 200, "request", "'stg' does not match any enum values", "staging is stg in keys, and the server takes either"},
	{"list_queues_v1", 400, "status", "", shapeWhy},
	{"retrieve_queue_v1", 400, "status", "", shapeWhy},
	{"override_queue_concurrency_v1", 200, "request", "missing property 'concurrencyLimit'", "the client may send a percentage in its place"},
	{"", 200, "response", "/import' not found", "a variable may be called import; the validator takes its path for the import's"},
	{"retrieve_queue_v1", 200, "response", ": got null", nullableWhy},
	{"pause_queue_v1", 200, "response", ": got null", nullableWhy},
	{"list_queues_v1", 200, "response", ": got null", nullableWhy},
	{"override_queue_concurrency_v1", 200, "response", ": got null", nullableWhy},
	{"reset_queue_concurrency_v1", 200, "response", ": got null", nullableWhy},

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
	{"retrieve_run_v1", 200, "response", ".status: value must be", "likewise for the run's relatives"},
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
