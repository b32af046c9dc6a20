package main

import (
	"context"
	"fmt"

	"sear/internal/blob"
	"sear/internal/limit"
	"sear/internal/server"
)

// registerStore adds the flags that say where the data is.
func registerStore(f *flagSet, cfg *server.Config) {
	f.StringVar(&cfg.Data, "data", "./sear-data", "the `directory` of the data; one server at a time uses it")
	f.secretVar(&cfg.DatabaseURL, "database-url", "keep the data in Postgres: a postgres:// `URL`")
	f.secretVar(&cfg.SecretKey, "secret-key", "the `key` that seals secrets in the database; when not given, one is made in the data directory")
}

// registerServer adds the flags of a server.
func registerServer(f *flagSet, cfg *server.Config) {
	registerStore(f, cfg)
	f.StringVar(&cfg.Addr, "addr", "127.0.0.1:3030", "listen on `host:port`")
	f.StringVar(&cfg.PublicURL, "public-url", "", "the `URL` by which clients and workers reach the server, without a path; when not given, the one each of them has used")
	f.Var(&cfg.Proxies, "trusted-proxy", "believe `networks` (10.0.0.0/8,192.0.2.1) of proxies on the address of their clients, by which logins are limited; this machine is believed")
	f.IntVar(&cfg.MaxConcurrency, "max-concurrency", 0, "let at most `n` runs of an environment execute at once; 0 leaves their limits as they are")
	f.DurationVar(&cfg.Timeouts.Pending, "start-timeout", server.DefaultTimeouts.Pending, "put a run back in the queue that its worker has not started after `duration`")
	f.DurationVar(&cfg.Timeouts.Executing, "stall-timeout", server.DefaultTimeouts.Executing, "give a worker up from which nothing was heard for `duration`")
	f.IntVar(&cfg.MaxQueue.Dev, "max-queue-dev", 0, "refuse triggers for a queue of a development environment in which `n` runs wait; 0 never does")
	f.IntVar(&cfg.MaxQueue.Deployed, "max-queue-deployed", 0, "likewise for the queues of other environments: `n` runs; 0 never does")
	registerS3(f, &cfg.S3)
	f.DurationVar(&cfg.Retention, "retention", server.DefaultRetention, "delete runs, and what belongs to them, `duration` after they ended; at least 24h, 0 keeps them")
	f.secretVar(&cfg.MetricsToken, "metrics-token", "the `token` with which GET /metrics may be read; without one only this machine may, and nobody if --public-url is set")
	cfg.Limits = server.DefaultLimits
	registerRate(f, &cfg.Limits.Key, "rate-limit", "requests of one environment's keys")
	registerRate(f, &cfg.Limits.Public, "public-rate-limit", "requests with one public token")
	registerRate(f, &cfg.Limits.Items, "batch-rate-limit", "items of the batches an environment creates")
}

// registerS3 adds the flags of a bucket.
func registerS3(f *flagSet, s3 *blob.S3) {
	f.StringVar(&s3.Endpoint, "s3-endpoint", "", "keep large payloads in an S3-compatible store: its `URL`, without the bucket")
	f.StringVar(&s3.PublicEndpoint, "s3-public-endpoint", "", "the `URL` by which clients and workers reach that store, if it is another")
	f.StringVar(&s3.Bucket, "s3-bucket", "", "the `name` of the bucket, which must exist")
	f.StringVar(&s3.Region, "s3-region", "us-east-1", "the `region` that the store knows the bucket by")
	f.StringVar(&s3.AccessKey, "s3-access-key", "", "the `id` of the access key")
	f.secretVar(&s3.SecretKey, "s3-secret-key", "its secret `key`")
}

// registerRate adds the flag of a limit, which keeps the value it has unless the flag is given.
func registerRate(f *flagSet, r *limit.Rate, name, of string) {
	f.TextVar(r, name, *r, "let in "+of+" at this `rate`, so many in a time:so many at once, or off; each node counts for itself")
}

func serve(ctx context.Context, p program, args []string) error {
	var cfg server.Config
	var log logFlags
	f := newFlags(p, "serve", "", "Runs the server until it gets SIGINT or SIGTERM. An empty store gets a project, its\n"+
		"environments and their keys, see `sear keys`.")
	registerServer(f, &cfg)
	log.register(f)
	if _, err := f.parse(args); err != nil {
		return err
	}

	cfg.Created = p.showAdmin(log)
	cfg.Ready = func(url string) {
		fmt.Fprintf(p.stdout, "Sear is ready at %s\n`sear keys%s` prints what clients need.\n", url, storeArguments(cfg))
	}
	return server.Run(ctx, cfg, log.logger(p.stderr))
}

// showAdmin returns what shows the administrator's password, once, to who started the server.
// It keeps it to itself where standard output is collected as a log.
func (p program) showAdmin(log logFlags) func(email, password string) {
	_, journal := p.lookup("JOURNAL_STREAM") // of systemd
	return func(email, password string) {
		if journal || log.format == "json" {
			fmt.Fprintf(p.stdout, "The administrator is %s; `sear admin reset` makes a password.\n", email)
			return
		}
		fmt.Fprintf(p.stdout, "The administrator is %s, with the password %s\nIt is not shown again; `sear admin reset` makes another.\n", email, password)
	}
}

// storeArguments are the flags that lead another command to the same data. A database's URL
// may hold a password, and so is only hinted at.
func storeArguments(cfg server.Config) string {
	if cfg.DatabaseURL != "" {
		return " --database-url …"
	}
	return " --data " + cfg.Data
}
