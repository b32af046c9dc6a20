package crash

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options is what the command line says.
type options struct {
	runs     int
	length   time.Duration // over which the runs are triggered
	every    time.Duration // mean time between faults
	faults   []string      // of allFaults
	nodes    int
	postgres bool
	sear     string
	dir      string // parent of the temporary folder; "": the system's
}

// The faults there are.
const (
	faultKill     = "kill"     // SIGKILL of a node
	faultPause    = "pause"    // SIGSTOP, and SIGCONT some seconds later
	faultCut      = "cut"      // no connection between a node and Postgres
	faultPostgres = "postgres" // Postgres itself crashes or restarts
	faultRestart  = "restart"  // SIGTERM, as an upgrade does
)

var allFaults = []string{faultKill, faultPause, faultCut, faultPostgres, faultRestart}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	var faults string
	f := flag.NewFlagSet("load crash", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.runs, "runs", 10_000, "how many runs are made, by triggers, batches, parents and schedules")
	f.DurationVar(&o.length, "for", 45*time.Second, "the time over which they are triggered")
	f.DurationVar(&o.every, "every", 3*time.Second, "the mean time between two faults")
	f.StringVar(&faults, "faults", faultKill, "what happens to the nodes, of "+strings.Join(allFaults, ","))
	f.IntVar(&o.nodes, "nodes", 1, "nodes on one Postgres")
	f.BoolVar(&o.postgres, "postgres", false, "use a private Postgres; default: SQLite")
	f.StringVar(&o.sear, "sear", "bin/sear", "the binary")
	f.StringVar(&o.dir, "dir", "", "where the data goes, in a temporary folder; default: the system's folder for those")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	o.faults = strings.Split(faults, ",")
	return o, o.validate()
}

func (o options) validate() error {
	for _, fault := range o.faults {
		if !slices.Contains(allFaults, fault) {
			return fmt.Errorf("fault %q: known are %s", fault, strings.Join(allFaults, ", "))
		}
		if !o.postgres && (fault == faultCut || fault == faultPostgres) {
			return fmt.Errorf("fault %s needs -postgres", fault)
		}
	}
	switch {
	case o.runs < 100 || o.length <= 0 || o.every <= 0:
		return errors.New("there must be at least 100 runs, and some time")
	case o.nodes < 1 || o.nodes > 1 && !o.postgres:
		return errors.New("several nodes need -postgres")
	}
	return nil
}

func (o options) String() string {
	database := "SQLite"
	if o.postgres {
		database = "Postgres"
	}
	return fmt.Sprintf("%s, nodes: %d, faults: %s, one in %v", database, o.nodes, strings.Join(o.faults, " "), o.every)
}
