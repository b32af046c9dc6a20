package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	found "sear/internal/doctor"
	"sear/internal/server"
)

// errUnwell is the end of an examination that found something broken.
var errUnwell = errors.New("something is broken, see above")

// doctor examines an installation.
func doctor(ctx context.Context, p program, args []string) error {
	var cfg server.Config
	f := newFlags(p, "doctor", "", "Looks at the data, the database, the server and this machine, and says what is wrong and what to do.\n"+
		"The server may be running or not; give the flags that it is given. Changes nothing. The exit code is 0\n"+
		"unless something is broken; warnings do not count.")
	registerStore(f, &cfg)
	f.StringVar(&cfg.Addr, "addr", "127.0.0.1:3030", "where the server listens: `host:port`")
	asJSON := f.Bool("json", false, "print JSON")
	if _, err := f.parse(args); err != nil {
		return err
	}
	list := server.Examine(ctx, cfg)
	if *asJSON {
		if err := json.NewEncoder(p.stdout).Encode(map[string]any{"level": found.Worst(list), "findings": list}); err != nil {
			return err
		}
	} else {
		for _, one := range list {
			fmt.Fprintf(p.stdout, "%-5s %-15s %s\n", one.Level, one.Check, one.Message)
			if one.Fix != "" {
				fmt.Fprintf(p.stdout, "%21s → %s\n", "", one.Fix)
			}
		}
	}
	if found.Worst(list) == found.Fail {
		return errUnwell
	}
	return nil
}
