package auth

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"sear/internal/fault"
	"sear/internal/rest"
	"sear/internal/store"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// Variable is an environment variable of the processes that execute runs.
type Variable struct {
	Name   string
	Value  string
	Secret bool // its value is not to be shown to people
}

// Variables reads what processes in the environment see, by name; a branch inherits
// from its root.
func (a *Auth) Variables(ctx context.Context, env *tenant.Environment) ([]Variable, error) {
	var rows []store.Variable
	err := a.store.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.Variables(env)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]Variable, len(rows))
	for i, r := range rows {
		value, err := a.sealer.Open(r.Sealed, variableTable, r.EnvID+"/"+r.Name)
		if err != nil {
			return nil, err
		}
		out[i] = Variable{Name: r.Name, Value: string(value), Secret: r.Secret}
	}
	return out, nil
}

const variableTable = "env_var"

// VariableSet is variables to set, by name.
type VariableSet struct {
	Own      map[string]string // of the environment itself
	Root     map[string]string // of the root of a branch; without meaning elsewhere
	Secret   *bool             // nil: as they were before, and new ones are none
	Override bool              // without it, a variable that is set already is an error
}

// SetVariables sets variables of an environment and of its root, all or none.
func (a *Auth) SetVariables(ctx context.Context, env *tenant.Environment, set VariableSet) error {
	now := time.Now()
	own, root := a.sealAll(env.ID, set.Own), a.sealAll(env.ParentID, set.Root)
	return a.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LockEnvironment(env.RootID()); err != nil {
			return err
		}
		var both []taken
		if env.ParentID != "" {
			list, err := set.apply(tx, &tenant.Environment{ID: env.ParentID}, root, now)
			if err != nil {
				return err
			}
			both = list
		}
		list, err := set.apply(tx, env, own, now)
		if err != nil {
			return err
		}
		return errTaken(append(both, list...))
	})
}

// sealAll are the rows of variables of one environment, by name.
func (a *Auth) sealAll(envID string, values map[string]string) []store.Variable {
	var rows []store.Variable
	for _, name := range slices.Sorted(maps.Keys(values)) {
		sealed := a.sealer.Seal([]byte(values[name]), variableTable, envID+"/"+name)
		rows = append(rows, store.Variable{EnvID: envID, Name: name, Sealed: sealed})
	}
	return rows
}

// apply writes the rows of one environment, but those that must not be replaced: these it
// returns. The caller has locked its root, so that nobody sets the same in the meantime.
func (s VariableSet) apply(tx *store.Tx, env *tenant.Environment, rows []store.Variable, now time.Time) ([]taken, error) {
	list, err := tx.Variables(env)
	if err != nil {
		return nil, err
	}
	var out []taken
	seen := make(map[string]store.Variable, len(list)+len(rows))
	for _, v := range list {
		seen[v.Name] = v
	}
	for _, v := range rows {
		before, ok := seen[v.Name]
		if ok && before.EnvID == env.ID && !s.Override {
			out = append(out, taken{v.Name, "The variable is already set"})
			continue
		}
		if v.Secret = before.Secret; s.Secret != nil {
			v.Secret = *s.Secret
		}
		seen[v.Name] = v
		if err := tx.SetVariable(v, now); err != nil {
			return nil, err
		}
	}
	return out, checkRoom(seen)
}

// checkRoom refuses more variables than a process can start with.
func checkRoom(all map[string]store.Variable) error {
	size := 0
	for name, v := range all {
		size += len(name) + len(v.Sealed)
	}
	if len(all) > wire.MaxEnvVars || size > wire.MaxEnvVarsSize {
		return fault.Newf(fault.Malformed, "An environment can have %d variables, of %d bytes in all", wire.MaxEnvVars, wire.MaxEnvVarsSize)
	}
	return nil
}

// taken is a variable that is set already and was not to be replaced.
type taken struct {
	Key   string `json:"key"`
	Error string `json:"error"`
}

func errTaken(list []taken) error {
	if len(list) == 0 {
		return nil
	}
	return rest.WithField(fault.New(fault.Malformed,
		"Some of the variables are already set for these environments. Set override to true to override them."), "variableErrors", list)
}

var errNoVariable = fault.New(fault.NotFound, "Environment variable not found")

// Variable reads one of Variables.
func (a *Auth) Variable(ctx context.Context, env *tenant.Environment, name string) (Variable, error) {
	all, err := a.Variables(ctx, env)
	if err != nil {
		return Variable{}, err
	}
	for _, v := range all {
		if v.Name == name {
			return v, nil
		}
	}
	return Variable{}, errNoVariable
}

// UpdateVariable gives a variable another value. A branch that has it from its root
// gets its own.
func (a *Auth) UpdateVariable(ctx context.Context, env *tenant.Environment, name, value string) error {
	now := time.Now()
	rows := a.sealAll(env.ID, map[string]string{name: value})
	return a.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LockEnvironment(env.RootID()); err != nil {
			return err
		}
		list, err := tx.Variables(env)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list, func(v store.Variable) bool { return v.Name == name }) {
			return errNoVariable
		}
		_, err = VariableSet{Override: true}.apply(tx, env, rows, now)
		return err
	})
}

// DeleteVariable removes a variable of the environment itself. A branch that had its
// own value sees its root's again.
func (a *Auth) DeleteVariable(ctx context.Context, env *tenant.Environment, name string) error {
	return a.store.Update(ctx, func(tx *store.Tx) error {
		existed, err := tx.DeleteVariable(env.ID, name)
		if err != nil || existed {
			return err
		}
		list, err := tx.Variables(env)
		if err == nil && slices.ContainsFunc(list, func(v store.Variable) bool { return v.Name == name }) {
			err = fault.New(fault.NotFound, "Environment variable not found: the branch has it from its parent environment")
		} else if err == nil {
			err = errNoVariable
		}
		return err
	})
}

// buildTable binds the sealed variables of a build to their deployment.
const buildTable = "deployment"

// SealBuildVariables seals the variables of a deployment's build for the store.
func (a *Auth) SealBuildVariables(deploymentID string, variables map[string]string) []byte {
	plain, _ := json.Marshal(variables) // a map of texts always marshals
	return a.sealer.Seal(plain, buildTable, deploymentID)
}

// OpenBuildVariables undoes SealBuildVariables. Nothing sealed is no variables.
func (a *Auth) OpenBuildVariables(deploymentID string, sealed []byte) (map[string]string, error) {
	variables := map[string]string{}
	if sealed == nil {
		return variables, nil
	}
	plain, err := a.sealer.Open(sealed, buildTable, deploymentID)
	if err != nil {
		return nil, err
	}
	return variables, json.Unmarshal(plain, &variables)
}
