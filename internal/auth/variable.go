package auth

import (
	"context"
	"encoding/json"
	"time"

	"sear/internal/store"
	"sear/internal/tenant"
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

// SetVariables sets variables of one environment, all or none.
func (a *Auth) SetVariables(ctx context.Context, envID string, list []Variable) error {
	rows := make([]store.Variable, len(list))
	for i, v := range list {
		rows[i] = store.Variable{EnvID: envID, Name: v.Name, Secret: v.Secret}
		rows[i].Sealed = a.sealer.Seal([]byte(v.Value), variableTable, envID+"/"+v.Name)
	}
	now := time.Now()
	return a.store.Update(ctx, func(tx *store.Tx) error {
		for _, r := range rows {
			if err := tx.SetVariable(r, now); err != nil {
				return err
			}
		}
		return nil
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
