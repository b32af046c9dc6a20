// Package doctor looks at an installation from outside: what is in order, what is not, and
// what to do about it. It changes nothing.
package doctor

import (
	"context"
	"fmt"
	"time"

	"sear/internal/store"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn" // it works, and will not for ever or not for everybody
	Fail Level = "fail"
)

// Finding is what one check found.
type Finding struct {
	Check   string `json:"check"`
	Level   Level  `json:"level"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"` // what to do; absent when all is well
}

// Problem is an error that says what to do about it.
type Problem struct {
	What, Fix string
	Cause     error
}

// Error says both.
func (p *Problem) Error() string { return p.What + ": " + p.Fix }

// Unwrap is the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// Target is the installation.
type Target struct {
	Data     string // its data directory
	Database string // URL of its store
	KeyFile  string // file of the key that seals secrets; "" when it is kept elsewhere
	Addr     string // where its server listens
	// What a server on it would say of the store's key and of its large payloads.
	CheckKey, CheckPackets func(ctx context.Context, st *store.Store) error
	LastBackup             time.Time
	BackupNote             error // why it is not known when the last backup was
	Postgres               bool
	Now                    time.Time
}

// examination is one visit.
type examination struct {
	Target
	found    []Finding
	store    *store.Store // nil when it cannot be opened
	identity string       // of the store
	isHeld   bool         // the store starts nothing
	serving  bool         // a server of the store answers
}

// Examine makes all checks. A check that cannot be made because of another's failure is
// left out.
func Examine(ctx context.Context, t Target) []Finding {
	e := &examination{Target: t}
	e.directory()
	e.database(ctx)
	e.key(ctx)
	e.ports(ctx)
	if e.store != nil {
		defer e.store.Close()
		e.packets(ctx)
		e.address(ctx)
		e.clock(ctx)
		e.space(ctx)
		e.held(ctx)
		e.invariants(ctx)
	}
	e.backup()
	e.tools(ctx)
	return e.found
}

func (e *examination) ok(check, format string, args ...any) {
	e.found = append(e.found, Finding{Check: check, Level: OK, Message: fmt.Sprintf(format, args...)})
}

func (e *examination) note(level Level, check, fix, format string, args ...any) {
	e.found = append(e.found, Finding{check, level, fmt.Sprintf(format, args...), fix})
}

// Worst is the worst level of findings.
func Worst(found []Finding) Level {
	worst := OK
	for _, f := range found {
		if f.Level == Fail || f.Level == Warn && worst == OK {
			worst = f.Level
		}
	}
	return worst
}
