package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// bench is one run of the program.
type bench struct {
	opt  options
	size sizes
	log  io.Writer // tells the person who waits what is going on
	dir  string    // temporary, removed in the end
	sear string
	echo *echoServer

	rows  []row
	notes []string
}

func newBench(ctx context.Context, o options, log io.Writer) (*bench, error) {
	b := &bench{opt: o, size: o.sizes(), log: log, sear: o.sear}
	err := b.prepare(ctx)
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) prepare(ctx context.Context) (err error) {
	if b.sear == "" && len(b.opt.servers) == 0 {
		if b.sear, err = build(ctx); err != nil {
			return err
		}
	}
	if b.opt.profile != "" {
		if err := os.MkdirAll(b.opt.profile, 0o755); err != nil {
			return err
		}
	}
	if b.dir, err = os.MkdirTemp(b.opt.dir, "sear-load-"); err != nil {
		return err
	}
	b.echo, err = startEcho()
	return err
}

func (b *bench) close() {
	if b.echo != nil {
		b.echo.close()
	}
	if b.dir != "" {
		os.RemoveAll(b.dir)
	}
}

// group is phases that share a store.
type group struct {
	phases string
	run    func(ctx context.Context, b *bench, s *site) error
}

var groups = []group{
	{"eg", idle},
	{"a", single},
	{"c", live},
	{"f", family},
	{"bdg", backlog},
	{"h", large},
}

// errUnsteady says that a ceiling moved while a phase was measured against it.
var errUnsteady = errors.New("the machine's speed changed")

// repeatable bounds a group of phases that is measured again when the machine was
// unsteady, which happens once.
const repeatable = 30 * time.Second

// run measures what is wanted. It goes on after a group that failed, and then fails
// in the end.
func (b *bench) run(ctx context.Context) error {
	var errs []error
	for _, g := range groups {
		if !b.opt.wants(g.phases) {
			continue
		}
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		if err := b.measure(ctx, g); err != nil {
			errs = append(errs, fmt.Errorf("phases %s: %w", letters(g.phases), err))
		}
	}
	return errors.Join(errs...)
}

func (b *bench) measure(ctx context.Context, g group) error {
	fmt.Fprintf(b.log, "phases %s …\n", letters(g.phases))
	rows, begin := len(b.rows), time.Now()
	err := b.once(ctx, g)
	if errors.Is(err, errUnsteady) && time.Since(begin) < repeatable && !b.opt.quick {
		fmt.Fprintf(b.log, "%v; phases %s again …\n", err, letters(g.phases))
		b.rows = b.rows[:rows]
		err = b.once(ctx, g)
	}
	if errors.Is(err, errUnsteady) {
		b.note("phases %s: %v", letters(g.phases), err)
		return nil
	}
	return err
}

func (b *bench) once(ctx context.Context, g group) error {
	s, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	return g.run(ctx, b, s)
}

// compare measures a ceiling before and after a phase and returns the mean, with an
// errUnsteady when the two differ too much.
func compare(ceiling func() (float64, error), phase func() error) (float64, error) {
	before, err := ceiling()
	if err != nil {
		return 0, err
	}
	if err := phase(); err != nil {
		return 0, err
	}
	after, err := ceiling()
	if err != nil {
		return 0, err
	}
	if !steady(before, after) {
		err = fmt.Errorf("%w: a ceiling was %s and then %s", errUnsteady, perSecond(before), perSecond(after))
	}
	return (before + after) / 2, err
}

// add adds rows of phases that are wanted.
func (b *bench) add(rows ...row) {
	for _, r := range rows {
		if b.opt.wants(r.phase) {
			b.rows = append(b.rows, r)
		}
	}
}

func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// report is the table, with what it was measured on.
func (b *bench) report() string {
	var out strings.Builder
	fmt.Fprintf(&out, "database %s · GOMAXPROCS %d · %s %s/%s · payload %d bytes · %d clients · 1 worker with %d slots\n\n",
		b.opt.kind(), runtime.GOMAXPROCS(0), runtime.Version(), runtime.GOOS, runtime.GOARCH, payloadSize, clients, slots)
	slices.SortStableFunc(b.rows, func(x, y row) int { return strings.Compare(x.phase, y.phase) })
	out.WriteString(table(b.rows))
	if len(b.notes) > 0 {
		out.WriteByte('\n')
	}
	for _, n := range b.notes {
		fmt.Fprintf(&out, "note: %s\n", strings.ReplaceAll(n, "\n", "; "))
	}
	return out.String()
}

// letters shows phases as they are written on the command line.
func letters(phases string) string { return strings.Join(strings.Split(phases, ""), ",") }

// profileFile is where the profile of a phase goes.
func (b *bench) profileFile(phase string) string {
	return filepath.Join(b.opt.profile, phase+".pprof")
}
