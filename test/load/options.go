package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// allPhases are the letters that -phases may have.
const allPhases = "abcdefgh"

// usualPhases are those that are measured when nobody says which.
const usualPhases = "abcdefg"

// options is what the command line says.
type options struct {
	phases      string // letters of allPhases
	scale       float64
	quick       bool
	servers     []string // base URLs of running servers; none: start one
	keys        string   // file with the keys of those
	sear        string   // binary to start; "": build it
	databaseURL string   // "": SQLite
	dir         string   // parent of temporary folders; "": the system's
	profile     string   // folder for CPU profiles; "": none
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	var phases, servers string
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&phases, "phases", usualPhases, "what to measure, such as a,b,d: a single triggers, b batch triggers, c live runs,\n"+
		"d drain of a backlog, e latency when idle, f a parent with children, g memory and disk,\n"+
		"h a store full of finished runs")
	f.Float64Var(&o.scale, "n", 1, "multiplies the number of runs of each phase")
	f.BoolVar(&o.quick, "quick", false, "a smoke of some seconds, whose figures mean little")
	f.StringVar(&servers, "server", "", "comma-separated base URLs of running, otherwise idle servers of one store; default: start one on loopback")
	f.StringVar(&o.keys, "keys", "", "with -server: a file with the output of sear keys --json")
	f.StringVar(&o.sear, "sear", "", "the binary to start; default: build bin/sear")
	f.StringVar(&o.databaseURL, "database-url", "", "a Postgres cluster in which databases may be created; default: SQLite")
	f.StringVar(&o.dir, "dir", "", "where the data goes, in a temporary folder; default: the system's folder for those")
	f.StringVar(&o.profile, "profile", "", "a folder for a CPU profile of the server per phase")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	o.phases = strings.ReplaceAll(phases, ",", "")
	if servers != "" {
		o.servers = strings.Split(servers, ",")
	}
	return o, o.validate()
}

func (o options) validate() error {
	switch {
	case o.phases == "" || strings.Trim(o.phases, allPhases) != "":
		return fmt.Errorf("phases %q: letters from a to h are known", o.phases)
	case o.scale <= 0 || o.scale > 20:
		return errors.New("n must be above 0 and at most 20")
	case len(o.servers) > 0 && o.keys == "":
		return errors.New("-server needs -keys")
	case len(o.servers) > 0 && (o.databaseURL != "" || o.sear != "" || o.profile != ""):
		return errors.New("-server goes with none of -sear, -database-url, -profile")
	}
	return nil
}

// wants reports whether one of the phases is to be measured.
func (o options) wants(phases string) bool { return strings.ContainsAny(phases, o.phases) }

// kind is what the table calls the database.
func (o options) kind() string {
	switch {
	case len(o.servers) > 0:
		return "of the given servers"
	case o.databaseURL != "":
		return "Postgres"
	}
	return "SQLite"
}

// How the load looks. They are those of the peers' measurements.
const (
	clients     = 32  // that trigger single runs
	slots       = 100 // of the worker: the default limit of a dev environment
	payloadSize = 100 // bytes
	batchSize   = 500 // items
	batchers    = 4   // that send batches
	outstanding = 1000
)

// sizes is how much of each there is.
type sizes struct {
	singles   int           // triggers of phase a
	live      int           // runs of phase c
	backlog   int           // runs of phases b and d
	samples   int           // of phase e
	families  int           // parents of phase f, one after the other
	children  int           // of each of them
	calibrate time.Duration // each measurement of a ceiling
	settle    time.Duration // from the start of a server to the look at its memory
}

func (o options) sizes() sizes {
	s := sizes{singles: 40_000, live: 30_000, backlog: 200_000, samples: 500, families: 3, children: 1000,
		calibrate: 2 * time.Second, settle: 5 * time.Second}
	if o.quick {
		s = sizes{singles: 2_000, live: 2_000, backlog: 5_000, samples: 50, families: 1, children: 200,
			calibrate: 200 * time.Millisecond, settle: time.Second}
	}
	s.singles = scaled(s.singles, o.scale, 10)
	s.live = scaled(s.live, o.scale, 10)
	s.backlog = scaled(s.backlog, o.scale, batchSize)
	s.samples = scaled(s.samples, o.scale, 10)
	return s
}

// scaled multiplies n, up to a multiple of step, which is one of 10 so that there are tenths.
func scaled(n int, scale float64, step int) int {
	return max(1, int(float64(n)*scale+0.5)/step) * step
}
