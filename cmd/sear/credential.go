package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"sear/internal/server"
)

// listCredentials shows what works: sear keys list.
func listCredentials(ctx context.Context, p program, args []string) error {
	var cfg server.Config
	f := newFlags(p, "keys list", "", "Lists the administrator's tokens and sessions and the keys of all environments: when each was made\n"+
		"and last used, to the minute, and when it ends. The server may be running or not.")
	registerStore(f, &cfg)
	asJSON := f.Bool("json", false, "print JSON, as GET /api/v1/credentials answers")
	if _, err := f.parse(args); err != nil {
		return err
	}
	if err := checkData(cfg); err != nil {
		return err
	}
	all, err := server.Credentials(ctx, cfg)
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(p.stdout).Encode(map[string]any{"data": all})
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tKIND\tNAME\tFOR\tHINT\tCREATED\tLAST USED\tENDS")
	for _, c := range all {
		of := c.Environment
		if c.Scopes != nil {
			of += ": " + strings.Join(*c.Scopes, " ")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.ID, c.Kind, c.Name, of, c.Hint, day(&c.CreatedAt), day(c.LastUsedAt), day(c.ExpiresAt))
	}
	return table.Flush()
}

// day shows an instant to the minute, and none as a dash.
func day(at *time.Time) string {
	if at == nil {
		return "-"
	}
	return at.UTC().Format("2006-01-02 15:04")
}

// revokeCredential ends one credential, or all tokens and sessions: sear keys revoke ID|all.
func revokeCredential(ctx context.Context, p program, args []string) error {
	var cfg server.Config
	var log logFlags
	f := newFlags(p, "keys revoke", "ID|all", "Ends a token, a session or an additional key at once, by the id that `sear keys list` shows; what is open\n"+
		"with it ends too. `all` ends every token and session, and `sear keys` prints a new token. The server may be\n"+
		"running or not.")
	registerStore(f, &cfg)
	log.register(f)
	id, err := f.parse(args)
	if err != nil {
		return err
	}
	if id == "" {
		return f.misused("which one? `sear keys list` shows the ids; `all` ends every token and session")
	}
	if err := checkData(cfg); err != nil {
		return err
	}
	if id != "all" {
		if err := server.EndCredential(ctx, cfg, id, log.logger(p.stderr)); err != nil {
			return err
		}
		_, err = fmt.Fprintln(p.stdout, "ended")
		return err
	}
	ended, err := server.EndAllCredentials(ctx, cfg, log.logger(p.stderr))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "ended %d tokens and sessions; `sear keys` prints the new token\n", ended)
	return err
}

// replaceCredential makes a successor: sear keys replace ID.
func replaceCredential(ctx context.Context, p program, args []string) error {
	var cfg server.Config
	var log logFlags
	f := newFlags(p, "keys replace", "ID", "Makes a token or an additional key with the rights of the one that `sear keys list` shows under ID, and prints\n"+
		"it this once. The old one works until the grace has passed. The server may be running or not.")
	registerStore(f, &cfg)
	log.register(f)
	grace := f.Duration("grace", server.RotationGrace, "let the old one work on for `duration`")
	id, err := f.parse(args)
	if err != nil {
		return err
	}
	if id == "" {
		return f.misused("which one? `sear keys list` shows the ids")
	}
	if *grace < 0 || *grace > server.MaxRotationGrace {
		return f.misused("--grace must be between 0 and %s", server.MaxRotationGrace)
	}
	if err := checkData(cfg); err != nil {
		return err
	}
	made, err := server.ReplaceCredential(ctx, cfg, id, *grace, log.logger(p.stderr))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s\nThe old one %s.\n", made.Credential, worksUntil(*grace, made.Expires))
	return err
}

// worksUntil says how long a credential works that was replaced.
func worksUntil(grace time.Duration, until time.Time) string {
	if grace == 0 {
		return "no longer works"
	}
	return "works until " + until.UTC().Format(time.RFC3339)
}

// admin is the word before the administrator's commands, of which there is one: sear admin reset.
func admin(ctx context.Context, p program, args []string) error {
	var cfg server.Config
	var log logFlags
	f := newFlags(p, "admin", "reset", "`sear admin reset` gives the administrator a new password, prints it this once, and ends all sessions.\n"+
		"The server may be running or not.")
	registerStore(f, &cfg)
	log.register(f)
	asJSON := f.Bool("json", false, "print JSON")
	word, err := f.parse(args)
	if err != nil {
		return err
	}
	if word != "reset" {
		return f.misused("what? `sear admin reset` gives the administrator a new password")
	}
	if err := checkData(cfg); err != nil {
		return err
	}
	made, err := server.ResetAdmin(ctx, cfg, log.logger(p.stderr))
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(p.stdout).Encode(map[string]string{"email": made.Email, "password": made.Password})
	}
	_, err = fmt.Fprintf(p.stdout, "The administrator is %s, with the password %s\nIt is not shown again. All sessions have ended.\n", made.Email, made.Password)
	return err
}
