package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"sear/internal/api"
	"sear/internal/auth"
	"sear/internal/blob"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/metrics"
	"sear/internal/rest"
	"sear/internal/run"
	"sear/internal/store"
)

// Config is what a server may be told. Addr and Data are needed; the zero values of
// all other fields stand for what they say.
type Config struct {
	Addr           string            // host:port to listen on; port 0 takes any free one
	Data           string            // directory of the data, made when missing
	DatabaseURL    string            // postgres://…; "" keeps the data in SQLite in the directory
	PublicURL      string            // how clients and workers reach the server; "": as each of them has found it
	SecretKey      string            // seals secrets: 32 bytes in hexadecimal or base64; "" keeps one in the directory
	MaxConcurrency int               // runs an environment executes at once; 0 leaves the limits as they are
	Timeouts       run.Timeouts      // how long workers may be silent; zero fields are upstream's
	MaxQueue       engine.QueueSizes // how many runs may wait in a queue; zero: any number
	Retention      time.Duration     // how long what has ended is kept; 0: for ever
	Limits         api.Limits        // how often callers may call; the zero value does not limit
	S3             blob.S3           // the bucket of large payloads; without Endpoint and Bucket they lie in the directory
	Proxies        rest.Proxies      // whose word on where a request comes from is taken, beside this machine's
	MetricsToken   string            // whoever knows it may read metrics; "": this machine alone may
	Ready          func(url string)  `json:"-"` // called once the server answers at url; may be nil
	// Created is called once in the life of a store, with the password of the administrator
	// that it was given, which nothing shows again; may be nil.
	Created func(email, password string) `json:"-"`
}

// DefaultTimeouts are how long workers may be silent when nobody says.
var DefaultTimeouts = run.DefaultTimeouts

// How long what has ended is kept when nobody says, and at least.
const (
	//limit:server Time that a run is kept after its end (`--retention`) |  | it is deleted
	DefaultRetention = 30 * 24 * time.Hour
	//limit:server The least retention, but for 0, which keeps everything |  | the server does not start and says so
	leastRetention = 24 * time.Hour
)

// DefaultLimits are how often callers may call a server that was told nothing else.
var DefaultLimits = api.DefaultLimits

// Run runs a server until ctx ends, and then stops it within ten seconds. What it
// has acknowledged is durable at any moment, and what was under way goes on when it
// is started again. A second server on the same SQLite data is refused.
func Run(ctx context.Context, cfg Config, log *slog.Logger) (err error) {
	tuneMemory()
	crashed := cfg.crashed()
	if err := cfg.check(); err != nil {
		return err
	}
	st, err := openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	var sealer *auth.Sealer
	var blobs *blob.Store
	err = cfg.whileAway(ctx, log, func() (err error) {
		if sealer, err = firstSealer(ctx, cfg, st); err != nil {
			return err
		}
		blobs, err = openBlobs(ctx, cfg, st)
		return err
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	here, err := publicURL(cfg.PublicURL, listener.Addr())
	if err != nil {
		return err
	}
	err = cfg.whileAway(ctx, log, func() error {
		if err := setUp(ctx, cfg, st, sealer, here, log); err != nil {
			return err
		}
		return errors.Join(tellRecovered(ctx, st, crashed, timeouts(cfg.Timeouts).Grace(), log), warnHeld(ctx, st, log))
	})
	if err != nil {
		return err
	}
	counts := metrics.New(st)
	e := engine.New(st, engine.Options{Timeouts: timeouts(cfg.Timeouts), MaxQueue: cfg.MaxQueue, Retention: cfg.Retention, Packets: blobs, Observer: counts, Log: log})
	h, err := newHandler(parts{store: st, engine: e, auth: auth.New(st, sealer, log), blobs: blobs, public: strings.TrimRight(cfg.PublicURL, "/"),
		limits: cfg.Limits, metrics: counts, metricsToken: cfg.MetricsToken, proxies: cfg.Proxies, loopback: onLoopback(listener.Addr()), log: log})
	if err != nil {
		return err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx)) // outlives the requests, which need it
	defer stop()
	g, work := errgroup.WithContext(work)
	g.Go(func() error { return e.Run(work) })
	g.Go(func() error { return st.Run(work) })
	g.Go(func() error { return h.auth.Run(work) })
	if cfg.DatabaseURL != "" {
		g.Go(func() error { noteServing(work, st, log); return nil })
	}
	g.Go(func() error {
		defer stop()
		ctx, cancel := context.WithCancel(ctx)
		defer context.AfterFunc(work, cancel)() // without the engine there is nothing to serve
		defer cancel()
		return h.serve(ctx, shareConns(listener.(*net.TCPListener), maxConns, log), func() { cfg.announce(here, listener.Addr(), log) })
	})
	return g.Wait()
}

// announce says where the server answers.
func (cfg Config) announce(here string, addr net.Addr, log *slog.Logger) {
	log.Info("serving", "url", here, "address", addr.String())
	if !onLoopback(addr) && !strings.HasPrefix(here, "https://") {
		log.Warn("other machines can connect without TLS, by which their keys can be read on the way: see docs/proxy.md")
	}
	if cfg.Ready != nil {
		cfg.Ready(here)
	}
}

// check refuses what could not work.
func (cfg Config) check() error {
	if cfg.Retention != 0 && cfg.Retention < leastRetention {
		return fmt.Errorf("a retention of %s: at least %s, or 0 to keep everything", cfg.Retention, leastRetention)
	}
	if cfg.MetricsToken != "" && !auth.IsToken(cfg.MetricsToken) {
		return errors.New("the metrics token cannot be sent in a header: it may hold letters, digits and -._~+/, and end with =")
	}
	return nil
}

// bootPatience is how long a server that starts goes on trying while Postgres is away
// between two of its first steps: both may have been restarted together.
//
//limit:server Time that a server that starts waits for its database |  | it ends with an error
const bootPatience = 30 * time.Second

// whileAway carries out a step of the start, again for as long as Postgres is away. A
// SQLite that cannot be written will not be soon, and is an error at once.
func (cfg Config) whileAway(ctx context.Context, log *slog.Logger, step func() error) error {
	for begin := time.Now(); ; {
		err := step()
		if cfg.DatabaseURL == "" || !fault.Is(err, fault.Unavailable) || time.Since(begin) > bootPatience {
			return err
		}
		log.Warn("the database does not answer, trying again", "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second / 2):
		}
	}
}

func timeouts(t run.Timeouts) run.Timeouts {
	d := DefaultTimeouts
	return run.Timeouts{
		Pending: cmp.Or(t.Pending, d.Pending), Executing: cmp.Or(t.Executing, d.Executing), Cancel: cmp.Or(t.Cancel, d.Cancel),
	}
}

// publicURL is where a server that listens on addr can be reached: from this machine
// at least, unless the configuration says how from elsewhere.
func publicURL(configured string, addr net.Addr) (string, error) {
	if configured != "" {
		u, err := url.Parse(configured)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "", fmt.Errorf("the public URL %q is not one of http:// or https://", configured)
		}
		if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" { // /api/v2/whoami is asked for at the root
			return "", fmt.Errorf("the public URL %q has more than a host and a port: the official clients drop a path, so give Sear a host name of its own", configured)
		}
		return strings.TrimRight(configured, "/"), nil
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() { // every address of this machine: this one is surely there
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// onLoopback reports whether only this machine can connect to an address.
func onLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// setUp fills an empty store, and leaves in it what this server was told.
func setUp(ctx context.Context, cfg Config, st *store.Store, sealer *auth.Sealer, publicURL string, log *slog.Logger) error {
	admin, err := auth.Bootstrap(ctx, st, sealer)
	if err != nil {
		return fitting(err) // another node may have been first, with a key of its own
	}
	if admin != nil && cfg.Created != nil {
		cfg.Created(admin.Email, admin.Password)
	}
	return st.Update(ctx, func(tx *store.Tx) error {
		if cfg.MaxConcurrency > 0 {
			if err := tx.LimitConcurrency(cfg.MaxConcurrency); err != nil {
				return err
			}
		}
		if identity, err := tx.Setting(store.SettingIdentity); err != nil {
			return err
		} else if identity == "" {
			if err := tx.SetSetting(store.SettingIdentity, id.New(time.Now())); err != nil {
				return err
			}
		}
		return errors.Join(tx.ForgetServers(time.Now()), tx.SetSetting(store.SettingPublicURL, publicURL))
	})
}
