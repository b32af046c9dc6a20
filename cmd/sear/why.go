package main

import (
	"context"
	"encoding/json"
	"fmt"

	"sear/internal/server"
)

// why explains one run: sear why RUN.
func why(ctx context.Context, p program, args []string) error {
	var cfg server.Config
	f := newFlags(p, "why", "RUN", "Says why a run does not execute. The server may be running or not.")
	registerStore(f, &cfg)
	asJSON := f.Bool("json", false, "print JSON, as GET /api/v1/runs/RUN/why answers")
	runID, err := f.parse(args)
	if err != nil {
		return err
	}
	if runID == "" {
		return f.misused("which run?")
	}
	if err := checkData(cfg); err != nil {
		return err
	}
	a, err := server.Why(ctx, cfg, runID)
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(p.stdout).Encode(a)
	}
	fmt.Fprintf(p.stdout, "%s (%s): %s\n", a.ID, a.Status, a.Sentence)
	if a.Position > 0 {
		fmt.Fprintf(p.stdout, "position in its queue: %d\n", a.Position)
	}
	if a.Start != "" {
		fmt.Fprintf(p.stdout, "estimated start: %s\n", a.Start)
	}
	return nil
}
