package api

import "net/http"

// call is what the description of the API says of a route beside what is on the routes page.
type call struct {
	summary string
	query   []string // parameters of the query
	body    string   // media type of the request's body; "" for none
	status  int      // of a success; 0 for 200
}

// Media types of requests.
const (
	jsonBody   = "application/json"
	ndjsonBody = "application/x-ndjson"
	anyBody    = "*/*"
)

// Parameters that several queries share.
var (
	cursorQuery  = []string{"page[size]", "page[after]", "page[before]"}
	createdQuery = []string{"filter[createdAt][period]", "filter[createdAt][from]", "filter[createdAt][to]"}
	runsQuery    = join(cursorQuery, createdQuery, []string{
		"filter[status]", "filter[taskIdentifier]", "filter[version]", "filter[bulkAction]", "filter[tag]", "filter[schedule]",
		"filter[isTest]", "filter[batch]", "filter[error]", "filter[queue]", "filter[machine]", "filter[region]",
	})
)

func join(lists ...[]string) (all []string) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// calls describes every route.
var calls = map[string]call{
	"GET /openapi.json": {summary: "This description"},

	"POST /api/v1/tasks/{task}/trigger":        {summary: "Trigger a task", body: jsonBody},
	"POST /api/v1/tasks/batch":                 {summary: "Trigger a batch in one piece", body: jsonBody},
	"POST /api/v2/tasks/batch":                 {summary: "Trigger a batch in one piece", body: jsonBody, status: http.StatusAccepted},
	"POST /api/v1/tasks/{task}/batch":          {summary: "Trigger a batch of one task", body: jsonBody},
	"POST /api/v3/batches":                     {summary: "Create a batch, whose items are sent next", body: jsonBody, status: http.StatusAccepted},
	"POST /api/v3/batches/{batch}/items":       {summary: "Send the items of a batch, one JSON object a line", body: ndjsonBody},
	"GET /api/v3/batches/{batch}/items":        {summary: "Refused: items are sent by POST", status: http.StatusMethodNotAllowed},
	"GET /api/v2/batches/{batch}":              {summary: "Read a batch"},
	"GET /api/v1/batches/{batch}":              {summary: "Read a batch"},
	"GET /api/v1/batches/{batch}/results":      {summary: "Read the results of a batch's finished runs"},
	"GET /api/v3/runs/{run}":                   {summary: "Read a run with its family"},
	"GET /api/v1/runs":                         {summary: "List runs", query: runsQuery},
	"GET /api/v1/projects/{ref}/runs":          {summary: "List runs of all environments of a project", query: join(runsQuery, []string{"filter[env]"})},
	"GET " + runPath + "/result":               {summary: "Read the result of a finished run"},
	"POST /api/v2/runs/{run}/cancel":           {summary: "Cancel a run"},
	"POST " + runPath + "/cancel":              {summary: "Cancel a run"},
	"POST " + runPath + "/replay":              {summary: "Run again with the same payload", body: jsonBody},
	"POST " + runPath + "/reschedule":          {summary: "Change when a delayed run starts", body: jsonBody},
	"POST " + runPath + "/tags":                {summary: "Add tags to a run", body: jsonBody},
	"GET " + runPath + "/metadata":             {summary: "Read the metadata of a run"},
	"PUT " + runPath + "/metadata":             {summary: "Change the metadata of a run and its family", body: jsonBody},
	"GET " + runPath + "/why":                  {summary: "Say why a run does not execute"},
	"GET " + runPath + "/trace":                {summary: "Read the trace of a run", query: []string{"page[size]", "page[after]"}},
	"GET " + runPath + "/spans/{span}":         {summary: "Read a span of a run's trace"},
	"GET " + runPath + "/events":               {summary: "Read the events of a run"},
	"GET " + runPath + "/packets/{kind}":       {summary: "Get a URL for a run's large payload or output"},
	"POST /api/v1/idempotencyKeys/{key}/reset": {summary: "Let the next trigger with a key make a new run", body: jsonBody},

	"GET " + bulkPath:                    {summary: "List bulk actions", query: cursorQuery},
	"POST " + bulkPath:                   {summary: "Cancel or replay many runs", body: jsonBody, status: http.StatusAccepted},
	"GET " + bulkPath + "/{bulk}":        {summary: "Read a bulk action"},
	"POST " + bulkPath + "/{bulk}/abort": {summary: "Stop a bulk action"},

	"GET /api/v1/errors":               {summary: "List what runs failed of", query: join(cursorQuery, []string{"filter[taskIdentifier]", "filter[version]", "filter[status]", "filter[search]", "filter[period]", "filter[from]", "filter[to]"})},
	"GET " + errorPath:                 {summary: "Read what runs failed of"},
	"POST " + errorPath + "/resolve":   {summary: "Say that an error is mended", body: jsonBody},
	"POST " + errorPath + "/ignore":    {summary: "Ignore an error, for a time or until it comes more often", body: jsonBody},
	"POST " + errorPath + "/unresolve": {summary: "Take back that an error is mended or ignored"},

	"POST " + tokenPath:                                  {summary: "Create a waitpoint token", body: jsonBody},
	"GET " + tokenPath:                                   {summary: "List waitpoint tokens", query: join(cursorQuery, createdQuery, []string{"filter[status]", "filter[idempotencyKey]", "filter[tags]"})},
	"GET " + tokenPath + "/{waitpoint}":                  {summary: "Read a waitpoint token"},
	"POST " + tokenPath + "/{waitpoint}/complete":        {summary: "Complete a waitpoint token", body: jsonBody},
	"POST " + tokenPath + "/{waitpoint}/callback/{hash}": {summary: "Complete a waitpoint token by its callback URL", body: jsonBody},

	"POST " + schedulesPath:                {summary: "Create a schedule, or change the one with the same deduplication key", body: jsonBody},
	"GET " + schedulesPath:                 {summary: "List schedules", query: []string{"page", "perPage"}},
	"GET " + schedulePath:                  {summary: "Read a schedule"},
	"PUT " + schedulePath:                  {summary: "Replace a schedule", body: jsonBody},
	"DELETE " + schedulePath:               {summary: "Delete a schedule"},
	"POST " + schedulePath + "/activate":   {summary: "Let a schedule fire again"},
	"POST " + schedulePath + "/deactivate": {summary: "Keep a schedule from firing"},
	"GET /api/v1" + zonesPath:              {summary: "List the time zones", query: []string{"excludeUtc"}},
	"GET " + zonesPath:                     {summary: "List the time zones", query: []string{"excludeUtc"}},

	"GET /api/v1/queues":                          {summary: "List queues", query: []string{"page", "perPage"}},
	"GET " + queuePath:                            {summary: "Read a queue", query: []string{"type"}},
	"POST " + queuePath + "/pause":                {summary: "Pause or resume a queue", body: jsonBody},
	"POST " + queuePath + "/concurrency/override": {summary: "Replace the concurrency limit of a queue", body: jsonBody},
	"POST " + queuePath + "/concurrency/reset":    {summary: "Give a queue its own concurrency limit back", body: jsonBody},

	"GET " + varPath:                                {summary: "List environment variables"},
	"POST " + varPath:                               {summary: "Set an environment variable", body: jsonBody},
	"POST " + varPath + "/import":                   {summary: "Set many environment variables", body: jsonBody},
	"GET " + varPath + "/{name}":                    {summary: "Read an environment variable"},
	"PUT " + varPath + "/{name}":                    {summary: "Change an environment variable", body: jsonBody},
	"POST " + varPath + "/{name}":                   {summary: "Change an environment variable", body: jsonBody},
	"DELETE " + varPath + "/{name}":                 {summary: "Delete an environment variable"},
	"POST /api/v1/resume":                           {summary: "Let a restored server execute runs"},
	"POST /api/v1/projects/{ref}/{env}/keys/rotate": {summary: "Replace the secret key of an environment", body: jsonBody},

	"POST " + deploymentsPath:                        {summary: "Begin a deployment", body: jsonBody},
	"GET " + deploymentsPath:                         {summary: "List deployments", query: []string{"page[size]", "page[after]", "status", "period", "from", "to"}},
	"GET " + deploymentsPath + "/latest":             {summary: "Read the newest unmanaged deployment"},
	"GET " + deploymentsPath + "/current":            {summary: "Read the deployment that runs go to"},
	"GET " + deploymentPath:                          {summary: "Read a deployment"},
	"GET " + deploymentPath + "/build-env-vars":      {summary: "Read the variables of a deployment's build"},
	"POST " + deploymentPath + "/background-workers": {summary: "Register the worker of a deployment", body: jsonBody},
	"POST " + deploymentPath + "/progress":           {summary: "Say that a build has come further", body: jsonBody, status: http.StatusNoContent},
	"POST " + deploymentPath + "/fail":               {summary: "Say that a deployment has failed", body: jsonBody},
	"POST " + deploymentPath + "/cancel":             {summary: "Cancel a deployment", body: jsonBody, status: http.StatusNoContent},
	"POST " + deploymentPath + "/finalize":           {summary: "Finish a deployment", body: jsonBody},
	"POST /api/v2/deployments/{deployment}/finalize": {summary: "Finish a deployment", body: jsonBody},
	"POST /api/v3/deployments/{deployment}/finalize": {summary: "Finish a deployment, answered by server-sent events", body: jsonBody},
	"POST " + deploymentPath + "/promote":            {summary: "Promote or, with allowRollbacks, roll back to a version", query: []string{"allowRollbacks"}},
	"GET /api/v1/projects/{ref}/{env}/workers/{tag}": {summary: "Read the current worker of an environment"},

	"PUT /api/v2/packets/*":           {summary: "Get a URL to upload a large payload to"},
	"PUT /api/v1/packets/*":           {summary: "Get a URL to upload a large payload to"},
	"GET /api/v1/packets/*":           {summary: "Get a URL to download a large payload from"},
	"PUT " + packetPrefix + "{env}/*": {summary: "Upload a large payload; the URL is signed", body: anyBody},
	"GET " + packetPrefix + "{env}/*": {summary: "Download a large payload; the URL is signed"},
	"POST /api/v1/auth/jwt/claims":    {summary: "Read what a public access token must claim"},
	"POST /api/v1/auth/jwt":           {summary: "Sign a public access token", body: jsonBody},
	"POST /api/v1/auth/public-tokens": {summary: "Sign a public access token for a client that cannot", body: jsonBody},

	"GET /api/v2/whoami":                                {summary: "Read who a personal access token belongs to", query: []string{"projectRef"}},
	"GET /api/v1/projects/{ref}/{env}":                  {summary: "Read the secret key and URL of an environment"},
	"POST /api/v1/projects/{ref}/branches":              {summary: "Open a branch", body: jsonBody},
	"POST /api/v1/projects/{ref}/branches/archive":      {summary: "Archive a branch", body: jsonBody},
	"GET /api/v1/platform-notifications":                {summary: "Read what the CLI is to tell its user: nothing"},
	"POST /api/v1/profile/complete":                     {summary: "Accept a profile that is complete", body: jsonBody},
	"POST /api/v1/account/password/reset":               {summary: "Make a new password for the user, and end the user's sessions"},
	"GET " + credentialsPath:                            {summary: "List the user's tokens and sessions, and the keys of environments"},
	"DELETE " + credentialsPath:                         {summary: "End all tokens and sessions of the user"},
	"DELETE " + credentialsPath + "/{credential}":       {summary: "End a token, a session or an additional key"},
	"POST " + credentialsPath + "/{credential}/replace": {summary: "Replace a token or an additional key", body: jsonBody},
	"POST /api/v1/authorization-code":                   {summary: "Begin a login of the CLI", body: jsonBody},
	"POST /api/v1/token":                                {summary: "Exchange a login's code for a personal access token", body: jsonBody},
}
