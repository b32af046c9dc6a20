package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"sear/internal/server"
)

func keys(ctx context.Context, p program, args []string) error {
	var cfg server.Config
	f := newFlags(p, "keys", "", "Prints what clients and workers need to reach the server, which may be running or not.\n"+
		"These are secrets.")
	registerStore(f, &cfg)
	asJSON := f.Bool("json", false, "print JSON")
	if _, err := f.parse(args); err != nil {
		return err
	}

	set, err := readKeys(ctx, cfg)
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(p.stdout).Encode(set)
	}
	return printKeys(p, set)
}

// readKeys reads the keys of an existing store. Opening a store creates it, and the keys of a
// mistyped directory would be of no use.
func readKeys(ctx context.Context, cfg server.Config) (server.KeySet, error) {
	if _, err := os.Stat(cfg.Data); cfg.DatabaseURL == "" && errors.Is(err, fs.ErrNotExist) {
		return server.KeySet{}, fmt.Errorf("there is no data in %s: run `sear serve` first, or name its directory with --data", cfg.Data)
	}
	return server.Keys(ctx, cfg)
}

// printKeys shows the keys under the names of the variables that the official clients read.
func printKeys(p program, set server.KeySet) error {
	_, err := fmt.Fprintf(p.stdout, `TRIGGER_API_URL       %s
TRIGGER_PROJECT_REF   %s
TRIGGER_ACCESS_TOKEN  %s
TRIGGER_SECRET_KEY
  dev                 %s
  staging             %s
  prod                %s
  preview             %s
`, set.APIURL, set.ProjectRef, set.PersonalAccessToken,
		set.SecretKeys.Dev, set.SecretKeys.Staging, set.SecretKeys.Prod, set.SecretKeys.Preview)
	return err
}
