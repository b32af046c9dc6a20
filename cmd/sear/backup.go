package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"sear/internal/backup"
	"sear/internal/server"
)

// writeBackup backs a server up, or checks a backup: sear backup FILE.
func writeBackup(ctx context.Context, p program, args []string) error {
	var cfg server.Config
	var o backup.Options
	f := newFlags(p, "backup", "FILE", "Writes all that a server on SQLite knows to a new file, while it runs: the database as it is\n"+
		"at one instant, large payloads, and the key that seals secrets. Whoever has the file has all of that.\n"+
		"With --verify, restores the file aside, checks and counts what is in it, and removes that again.\n"+
		"Payloads that lie in a bucket are not in the file.")
	registerStore(f, &cfg)
	f.BoolVar(&o.NoKey, "no-key", false, "leave the key out; keep it elsewhere, for without it the restored secrets cannot be opened")
	verify := f.Bool("verify", false, "check a file and write none")
	asJSON := f.Bool("json", false, "print JSON")
	file, err := f.parse(args)
	if err != nil {
		return err
	}
	if file == "" {
		return f.misused("which file?")
	}
	if *verify {
		r, err := server.VerifyBackup(ctx, file)
		warnRestored(p, r)
		if err != nil {
			return err
		}
		return printBackup(p, *asJSON, r.Manifest, file+" is whole")
	}
	if err := checkData(cfg); err != nil {
		return err
	}
	m, size, err := server.Backup(ctx, cfg, file, o)
	if err != nil {
		return err
	}
	return printBackup(p, *asJSON, m, fmt.Sprintf("wrote %s, %.1f MB", file, float64(size)/1e6))
}

// printBackup says what is in a backup.
func printBackup(p program, asJSON bool, m backup.Manifest, says string) error {
	if asJSON {
		return json.NewEncoder(p.stdout).Encode(map[string]any{"at": m.At, "counts": m.Counts, "files": len(m.Members)})
	}
	_, err := fmt.Fprintf(p.stdout, "%s: %d runs, %d snapshots, %d waitpoints, %d schedules, %d files, as of %s\n", says,
		m.Counts["run"], m.Counts["snapshot"], m.Counts["waitpoint"], m.Counts["schedule"], len(m.Members), m.At.Format("2006-01-02 15:04:05Z"))
	return err
}

// warnRestored tells what is amiss in a backup that is whole.
func warnRestored(p program, r backup.Restored) {
	for _, v := range r.Violations {
		fmt.Fprintf(p.stderr, "warning: %s: not so for %d, such as %s\n", v.Rule, v.Count, strings.Join(v.Examples, ", "))
	}
	if n := len(r.Missing); n > 0 {
		fmt.Fprintf(p.stderr, "warning: %d large payloads that runs refer to are not in the file, such as %s: they lie in a bucket, or are lost\n", n, r.Missing[0].Path)
	}
}

// restore makes a data directory of a backup: sear restore FILE.
func restore(ctx context.Context, p program, args []string) error {
	var cfg server.Config
	f := newFlags(p, "restore", "FILE", "Makes a data directory of a backup. It overwrites nothing: the directory must be missing or empty.\n"+
		"A server on it takes triggers and executes nothing until `sear resume`, for the original may be alive.")
	registerStore(f, &cfg)
	asJSON := f.Bool("json", false, "print JSON")
	file, err := f.parse(args)
	if err != nil {
		return err
	}
	if file == "" {
		return f.misused("which file?")
	}
	r, err := server.Restore(ctx, cfg, file)
	if err != nil {
		return err
	}
	warnRestored(p, r.Restored)
	if r.Key != nil {
		fmt.Fprintf(p.stderr, "warning: %v\n", r.Key)
	}
	if err := printBackup(p, *asJSON, r.Manifest, "restored "+cfg.Data); err != nil || *asJSON {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "It is held: `sear serve%s` executes nothing until `sear resume%s`.\n", storeArguments(cfg), storeArguments(cfg))
	return err
}

// resume ends the hold of a restored store.
func resume(ctx context.Context, p program, args []string) error {
	return holding(ctx, p, args, "resume", "Lets a restored server execute runs, which may be running or not.", "resumed", server.Resume)
}

// hold makes a store as one that was restored.
func hold(ctx context.Context, p program, args []string) error {
	return holding(ctx, p, args, "hold", "Has the servers of a store take triggers and execute nothing until `sear resume`: for a Postgres database\n"+
		"that was restored with its own tools. Do it before the first server is started on it.", "held until `sear resume`", server.Hold)
}

func holding(ctx context.Context, p program, args []string, name, describe, done string, do func(context.Context, server.Config, *slog.Logger) error) error {
	var cfg server.Config
	var log logFlags
	f := newFlags(p, name, "", describe)
	registerStore(f, &cfg)
	log.register(f)
	if _, err := f.parse(args); err != nil {
		return err
	}
	if err := checkData(cfg); err != nil {
		return err
	}
	if err := do(ctx, cfg, log.logger(p.stderr)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.stdout, done)
	return err
}
