package main

import (
	"context"
	"encoding/json"
	"io"
	"net"

	"sear/internal/devrun"
	"sear/internal/server"
)

func dev(ctx context.Context, p program, args []string) error {
	var cfg server.Config
	var log logFlags
	f := newFlags(p, "dev", "DIR", "Runs `trigger.dev dev` of the project in DIR, by default the current directory, against\n"+
		"the server at --addr. Where none answers, it runs one itself. With --trigger it ends after\n"+
		"one run, with exit code 0 only if that completed.")
	registerServer(f, &cfg)
	log.register(f)
	task := f.String("trigger", "", "run the `task` with this id once, print the result and end")
	payload := f.String("payload", "", "the payload of --trigger, as `JSON`")
	dir, err := f.parse(args)
	if err != nil {
		return err
	}
	if *payload != "" && *task == "" {
		return f.misused("--payload needs --trigger")
	}
	if *payload != "" && !json.Valid([]byte(*payload)) {
		return f.misused("--payload is not JSON: %s", *payload)
	}
	url, err := urlOf(cfg.Addr)
	if err != nil {
		return f.misused("--addr: %v", err)
	}

	if dir == "" {
		dir = "."
	}
	return devrun.Run(ctx, devrun.Config{
		Dir:     dir,
		URL:     url,
		Serve:   serveWith(p, cfg, log),
		Keys:    keysWith(cfg),
		Task:    *task,
		Payload: json.RawMessage(*payload),
		Stdout:  p.stdout,
		Stderr:  p.stderr,
		Color:   p.color,
	})
}

// urlOf is where a server that listens on addr can be reached from this machine. Port 0 asks
// for any free port, so there is nowhere to look for a server yet: "".
func urlOf(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", nil
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

func serveWith(p program, cfg server.Config, log logFlags) func(context.Context, io.Writer, func(string)) error {
	return func(ctx context.Context, w io.Writer, ready func(string)) error {
		cfg.Created = p.showAdmin(log)
		cfg.Ready = ready
		return server.Run(ctx, cfg, log.logger(w))
	}
}

func keysWith(cfg server.Config) func(context.Context) (devrun.Keys, error) {
	return func(ctx context.Context) (devrun.Keys, error) {
		set, err := readKeys(ctx, cfg)
		return devrun.Keys{
			ProjectRef:  set.ProjectRef,
			AccessToken: set.PersonalAccessToken,
			SecretKey:   set.SecretKeys.Dev,
		}, err
	}
}
