package tenant

// reservedVariables are those by which a task's process finds its server and itself.
// They are set for it, whatever a user says.
var reservedVariables = map[string]bool{
	"TRIGGER_SECRET_KEY":                  true,
	"TRIGGER_API_URL":                     true,
	"TRIGGER_STREAM_URL":                  true,
	"TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT": true,
	"TRIGGER_ORG_ID":                      true,
	"TRIGGER_PREVIEW_BRANCH":              true,
	"TRIGGER_DEV_BRANCH":                  true,
	"TRIGGER_RUN_ID":                      true,
	"TRIGGER_MACHINE_PRESET":              true,
	"TRIGGER_JWT":                         true,
	"TRIGGER_RUN_TOKEN":                   true,
}

// ReservedVariable reports whether an environment variable is not the user's to set.
func ReservedVariable(name string) bool { return reservedVariables[name] }
