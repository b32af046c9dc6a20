package servertest

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// checks counts the exchanges of one operation whose answer the document has a status for.
type checks struct{ success, failure int }

var (
	talliesMu sync.Mutex
	tallies   = map[string]*checks{}
)

func tally(operation string, status int) {
	talliesMu.Lock()
	defer talliesMu.Unlock()
	n := tallies[operation]
	if n == nil {
		n = &checks{}
		tallies[operation] = n
	}
	if status/100 == 2 {
		n.success++
	} else {
		n.failure++
	}
}

// Contract runs the tests of the package that covers the whole contract, for [pgtest.Main].
type Contract struct {
	M    *testing.M
	Owed []string // operations that are not served yet
}

// Run runs the tests and prints how often each operation was checked. It fails when one was
// never answered well, or never with an error, and when one that is owed is served after all.
// A run of only some of the tests is not held to it.
func (c Contract) Run() int {
	code := c.M.Run()
	if code == 0 && !filtered() && !report(os.Stdout, c.Owed) {
		return 1
	}
	return code
}

// filtered reports whether the command line leaves tests out.
func filtered() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.bench"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return true
		}
	}
	return testing.Short()
}

// report prints a line per operation, and reports whether all that are not owed are green.
func report(w io.Writer, owed []string) bool {
	talliesMu.Lock()
	defer talliesMu.Unlock()
	all, green, good := 0, 0, true
	var b strings.Builder
	for _, p := range theContract().paths {
		for _, op := range p.item.GetOperations().FromOldest() {
			all++
			var n checks
			if t := tallies[op.OperationId]; t != nil {
				n = *t
			}
			isGreen, isOwed := n.success > 0 && (n.failure > 0 || noErrors[op.OperationId]), slices.Contains(owed, op.OperationId)
			verdict := "MISSING"
			switch {
			case isGreen && isOwed:
				verdict, good = "SERVED, though it is listed as owed", false
			case isGreen:
				green++
				verdict = "green"
			case isOwed:
				verdict = "owed"
			default:
				good = false
			}
			fmt.Fprintf(&b, "%-40s %5d checks, %4d of success, %4d of errors: %s\n", op.OperationId, n.success+n.failure, n.success, n.failure, verdict)
		}
	}
	fmt.Fprintf(w, "contract: %d operations, %d green\n%s", all, green, b.String())
	return good
}

// noErrors are the operations for which the document has no error.
var noErrors = map[string]bool{"get_timezones_v1": true}
