package workerapi

// preset is a size of machine, as workers are told of it.
type preset struct {
	Name       string  `json:"name"`
	CPU        float64 `json:"cpu"`    // cores
	Memory     float64 `json:"memory"` // gigabytes
	CentsPerMS float64 `json:"centsPerMs"`
}

// presets are all sizes there are. Nothing is charged for any.
var presets = []preset{
	{Name: "micro", CPU: 0.25, Memory: 0.25},
	{Name: "small-1x", CPU: 0.5, Memory: 0.5},
	{Name: "small-2x", CPU: 1, Memory: 1},
	{Name: "medium-1x", CPU: 1, Memory: 2},
	{Name: "medium-2x", CPU: 2, Memory: 4},
	{Name: "large-1x", CPU: 4, Memory: 8},
	{Name: "large-2x", CPU: 8, Memory: 16},
}

// presetOf finds a preset by its name. A name that no client knows stands for the
// default: with a message it cannot read, the CLI drops the runs of all others too.
func presetOf(name string) preset {
	const standard = 1
	for _, p := range presets {
		if p.Name == name {
			return p
		}
	}
	return presets[standard]
}
