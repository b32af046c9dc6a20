package wire

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"sear/internal/fault"
	"sear/internal/rest"
	"sear/internal/tenant"
)

// Limits of environment variables, in bytes but for the first. A system lets a process
// start with a few megabytes of them in all, and a little over 128 KiB in each.
const (
	//limit:variables Variables of an environment, and of one import | variables | 400 An environment can have {} variables, of … bytes in all; or At most {} variables can be set
	MaxEnvVars = 1000 // of an environment
	//limit:variables Variables of an environment, all together | bytes | 400 An environment can have … variables, of {} bytes in all
	MaxEnvVarsSize = 1 << 20
	//limit:variables The name of a variable | bytes | 400 A variable's name must have at most {} characters
	maxEnvName = 256
	//limit:variables The value of a variable | bytes | 400 A variable's value must have at most {} bytes
	maxEnvValue = 64 << 10
)

// redacted stands for the value of a secret.
const redacted = "<redacted>"

// EnvVar is an environment variable as clients are shown it.
type EnvVar struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Secret bool   `json:"isSecret"`
}

// NewEnvVar is a variable as clients are shown it: of a secret they see that it is one.
func NewEnvVar(name, value string, secret bool) EnvVar {
	if secret {
		value = redacted
	}
	return EnvVar{Name: name, Value: value, Secret: secret}
}

// EnvVarSet is variables to set, by name.
type EnvVarSet struct {
	Variables map[string]string // of the environment
	Parent    map[string]string // of the root of a branch
	Secret    *bool             // nil when the request does not say
	Override  bool              // variables that are set already may be replaced
	Ignored   []string          // names that were sent and are not set: reserved, or with a blank value
}

// sentEnvVar is a variable with the keys under which its name and its value were sent, which
// are one in a record.
type sentEnvVar struct{ nameKey, name, valueKey, value string }

// add notes one variable, or what is wrong with it.
func (s *EnvVarSet) add(to *map[string]string, f form, v sentEnvVar) {
	before := len(*f.problems)
	f.envName(v.nameKey, v.name)
	f.envValue(v.valueKey, v.value)
	name, value := v.name, v.value
	if len(*f.problems) > before {
		return
	}
	if strings.TrimSpace(value) == "" || tenant.ReservedVariable(name) {
		delete(*to, name) // the last of several counts
		s.Ignored = append(s.Ignored, name)
		return
	}
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[name] = value
}

// check demands that there is something to set.
func (s *EnvVarSet) check(problems rest.Problems) error {
	if len(problems) > 0 {
		return problems.Err()
	}
	slices.Sort(s.Ignored)
	s.Ignored = slices.Compact(s.Ignored)
	if len(s.Variables)+len(s.Parent) > 0 {
		return nil
	}
	message := "You must set at least one valid variable."
	if len(s.Ignored) > 0 {
		message += " Blank values and reserved names are ignored: " + strings.Join(s.Ignored, ", ")
	}
	return fault.New(fault.Malformed, message)
}

// envName checks the name of a variable: the rule of the clients' own forms.
func (f form) envName(key, name string) {
	switch {
	case name == "" || strings.IndexFunc(name, notWord) >= 0:
		f.add(key, "A variable's name must consist of letters, digits and underscores")
	case len(name) > maxEnvName:
		f.add(key, fmt.Sprintf("A variable's name must have at most %d characters", maxEnvName))
	}
}

// notWord reports whether a character does not match \w.
func notWord(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

func (f form) envValue(key, value string) {
	if len(value) > maxEnvValue {
		f.add(key, fmt.Sprintf("A variable's value must have at most %d bytes", maxEnvValue))
	}
}

// EnvVarBody is the body that creates one variable, or replaces it.
type EnvVarBody struct{ EnvVarSet }

// UnmarshalJSON decodes a body. Everything that is wrong with it is named in one
// error, a [fault.Malformed].
func (b *EnvVarBody) UnmarshalJSON(body []byte) error {
	var problems rest.Problems
	f, ok := formOf(body, &problems)
	if !ok {
		return problems.Err()
	}
	b.Override = true
	name, value := f.envVar(body, &b.Secret)
	if len(problems) == 0 {
		b.add(&b.Variables, f, sentEnvVar{"name", name, "value", value})
	}
	return b.check(problems)
}

// envVar reads {name, value, isSecret?}.
func (f form) envVar(object []byte, secret **bool) (name, value string) {
	var hasName, hasValue bool
	for k, v := range members(object) {
		switch string(k) {
		case "name":
			name, hasName = f.text("name", v), true
		case "value":
			value, hasValue = f.text("value", v), true
		case "isSecret":
			is := f.boolean("isSecret", v)
			*secret = &is
		}
	}
	if !hasName {
		f.required("name")
	}
	if !hasValue {
		f.required("value")
	}
	return name, value
}

// EnvVarValueBody is the body that gives a variable another value.
type EnvVarValueBody struct{ Value string }

// UnmarshalJSON decodes a body. A blank value is refused: the variable would stay what
// it is, since blank ones are not set.
func (b *EnvVarValueBody) UnmarshalJSON(body []byte) error {
	var problems rest.Problems
	f, ok := formOf(body, &problems)
	if !ok {
		return problems.Err()
	}
	found := false
	for k, v := range members(body) {
		if string(k) == "value" {
			b.Value, found = f.text("value", v), true
		}
	}
	switch {
	case !found:
		f.required("value")
	case len(problems) == 0 && strings.TrimSpace(b.Value) == "":
		f.add("value", "The value must not be blank: delete the variable instead")
	}
	f.envValue("value", b.Value)
	return problems.Err()
}

// EnvVarImport is the body that sets many variables: {NAME: value}, as the SDK sends
// them, or [{name, value}], as the document has it.
type EnvVarImport struct{ EnvVarSet }

// UnmarshalJSON decodes a body. Everything that is wrong with it is named in one
// error, a [fault.Malformed].
func (b *EnvVarImport) UnmarshalJSON(body []byte) error {
	var problems rest.Problems
	f, ok := formOf(body, &problems)
	if !ok {
		return problems.Err()
	}
	found := false
	for k, v := range members(body) {
		switch name := string(k); name {
		case "variables":
			found = true
			b.read(&b.Variables, f, name, v)
		case "parentVariables":
			b.read(&b.Parent, f, name, v)
		case "override":
			b.Override = f.boolean(name, v)
		case "isSecret":
			is := f.boolean(name, v)
			b.Secret = &is
		}
	}
	if !found {
		f.required("variables")
	}
	return b.check(problems)
}

// read reads a record of variables, or a list of them.
func (s *EnvVarSet) read(to *map[string]string, f form, key string, v []byte) {
	if v[0] != '[' {
		s.readRecord(to, f, key, v)
		return
	}
	for f, v := range f.list(key, v, MaxEnvVars) {
		g, ok := f.object(key, v)
		if !ok {
			continue
		}
		before := len(*g.problems)
		name, value := g.envVar(v, new(*bool)) // whether they are secrets is said for all of them
		if len(*g.problems) == before {
			s.add(to, g, sentEnvVar{"name", name, "value", value})
		}
	}
}

func (s *EnvVarSet) readRecord(to *map[string]string, f form, key string, v []byte) {
	g, ok := f.object(key, v)
	if !ok {
		return
	}
	n := 0
	for k, v := range members(v) {
		if n++; n > MaxEnvVars {
			f.add(key, fmt.Sprintf("At most %d variables can be set", MaxEnvVars))
			return
		}
		name := string(k)
		shown := Clip(name)
		before := len(*g.problems)
		if value := g.text(shown, v); len(*g.problems) == before {
			s.add(to, g, sentEnvVar{shown, name, shown, value})
		}
	}
}

// Clip is the beginning of a text, for messages that quote it.
func Clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// EnvFile reads the variables of a dotenv file.
func EnvFile(file []byte) (EnvVarSet, error) {
	const key = "variables"
	var s EnvVarSet
	var problems rest.Problems
	f := form{problems: &problems}
	text := string(file)
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		f.add(key, "The file is not text in UTF-8")
		return s, problems.Err()
	}
	entries, skipped := ParseDotenv(text)
	if len(entries)+len(skipped) > MaxEnvVars {
		f.add(key, fmt.Sprintf("At most %d variables can be set", MaxEnvVars))
		return s, problems.Err()
	}
	for _, line := range skipped {
		f.add(key, fmt.Sprintf("Line %d is not of the form NAME=value", line))
	}
	g := form{path: key + ".", problems: &problems}
	for _, e := range entries {
		s.add(&s.Variables, g, sentEnvVar{Clip(e.Name), e.Name, Clip(e.Name), e.Value})
	}
	return s, s.check(problems)
}

// Names are the names of all variables to set, sorted.
func (s *EnvVarSet) Names() []string {
	all := slices.Collect(maps.Keys(s.Variables))
	return slices.Sorted(slices.Values(slices.AppendSeq(all, maps.Keys(s.Parent))))
}
