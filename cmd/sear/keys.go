package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"sear/internal/server"
	"sear/internal/tenant"
)

// keyCommands are the words that may follow `sear keys`.
var keyCommands = map[string]func(ctx context.Context, p program, args []string) error{
	"rotate": rotateKey, "list": listCredentials, "revoke": revokeCredential, "replace": replaceCredential,
}

func keys(ctx context.Context, p program, args []string) error {
	if len(args) > 0 && keyCommands[args[0]] != nil {
		return keyCommands[args[0]](ctx, p, args[1:])
	}
	var cfg server.Config
	f := newFlags(p, "keys", "", "Prints what clients and workers need to reach the server, which may be running or not.\n"+
		"These are secrets. `sear keys rotate ENV` replaces a secret key, `sear keys list` shows every credential,\n"+
		"`sear keys revoke ID` ends one, and `sear keys replace ID` makes another in its place; see their -h.")
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

// readKeys reads the keys of an existing store.
func readKeys(ctx context.Context, cfg server.Config) (server.KeySet, error) {
	if err := checkData(cfg); err != nil {
		return server.KeySet{}, err
	}
	return server.Keys(ctx, cfg)
}

// checkData refuses a directory that does not exist: opening a store creates it, and the keys of
// a mistyped directory would be of no use.
func checkData(cfg server.Config) error {
	if _, err := os.Stat(cfg.Data); cfg.DatabaseURL == "" && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no data in %s: run `sear serve` first, or name its directory with --data", cfg.Data)
	}
	return nil
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

// rotateKey replaces the secret key of one environment: sear keys rotate ENV.
func rotateKey(ctx context.Context, p program, args []string) error {
	var cfg server.Config
	var what server.Rotation
	var log logFlags
	f := newFlags(p, "keys rotate", "ENV", "Replaces the secret key of an environment: dev, staging, prod or preview. The server may be\n"+
		"running or not. The old key, and the public tokens that it signed, work until the grace has passed.")
	registerStore(f, &cfg)
	log.register(f)
	f.StringVar(&what.Project, "project", "", "the `reference` of the project; when not given, the first one")
	f.DurationVar(&what.Grace, "grace", server.RotationGrace, "let the old key work on for `duration`")
	asJSON := f.Bool("json", false, "print JSON")
	slug, err := f.parse(args)
	if err != nil {
		return err
	}
	var ok bool
	if what.Env, ok = tenant.TypeForSlug(slug); !ok {
		return f.misused("which environment? %q is none of dev, staging, prod and preview", slug)
	}
	if what.Grace < 0 || what.Grace > server.MaxRotationGrace {
		return f.misused("--grace must be between 0 and %s", server.MaxRotationGrace)
	}
	if err := checkData(cfg); err != nil {
		return err
	}

	made, err := server.RotateKey(ctx, cfg, what, log.logger(p.stderr))
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(p.stdout).Encode(made)
	}
	_, err = fmt.Fprintf(p.stdout, "TRIGGER_SECRET_KEY    %s\nThe old key %s.\n", made.APIKey, worksUntil(what.Grace, made.Expires))
	return err
}
