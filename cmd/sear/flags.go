package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// usageError is a command line that makes no sense: the user reads the message and is pointed
// to the command's help.
type usageError struct {
	command string
	message string
}

func (e *usageError) Error() string { return e.message }

// flagSet is a flag.FlagSet in which every flag can also be given by an environment variable,
// and which accepts flags after operands.
type flagSet struct {
	*flag.FlagSet
	program  program
	operand  string // the name of the one operand that is allowed; "" allows none
	describe string // what the command does, for -h
	secrets  []secret
}

func newFlags(p program, command, operand, describe string) *flagSet {
	f := &flagSet{FlagSet: flag.NewFlagSet("sear "+command, flag.ContinueOnError), program: p, operand: operand, describe: describe}
	f.SetOutput(io.Discard) // errors are returned, and help is printed here
	return f
}

// envName is the variable of a flag: SEAR_DATABASE_URL for --database-url.
func envName(flagName string) string {
	return "SEAR_" + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// parse sets the flags from args, and from the environment where args do not name them. It
// returns the operand, "" for none. After -h it has printed the help and returns flag.ErrHelp.
func (f *flagSet) parse(args []string) (operand string, err error) {
	var operands []string
	for {
		if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
			f.printHelp()
			return "", err
		} else if err != nil {
			return "", f.misused("%v", err)
		}
		if f.NArg() == 0 {
			break
		}
		operands = append(operands, f.Arg(0))
		args = f.Args()[1:]
	}
	f.warnOfArguments()
	if err := errors.Join(f.applyEnv(), f.readSecrets()); err != nil {
		return "", err
	}

	switch {
	case len(operands) == 0:
		return "", nil
	case f.operand == "":
		return "", f.misused("unexpected argument %q", operands[0])
	case len(operands) > 1:
		return "", f.misused("unexpected argument %q", operands[1])
	}
	return operands[0], nil
}

// applyEnv gives the flags that were not named their variable's value, if that is set.
func (f *flagSet) applyEnv() error {
	named := map[string]bool{}
	f.Visit(func(fl *flag.Flag) { named[fl.Name] = true })

	var failed error
	f.VisitAll(func(fl *flag.Flag) {
		value, ok := f.program.lookup(envName(fl.Name))
		if named[fl.Name] || !ok || value == "" {
			return
		}
		if err := f.Set(fl.Name, value); err != nil {
			failed = f.misused("invalid value %q for %s: %v", value, envName(fl.Name), err)
		}
	})
	return failed
}

// misused returns the error of a command line that breaks this set's rules.
func (f *flagSet) misused(format string, args ...any) error {
	return &usageError{f.Name(), fmt.Sprintf(format, args...)}
}

func (f *flagSet) printHelp() {
	operand := ""
	if f.operand != "" {
		operand = " [" + f.operand + "]"
	}
	fmt.Fprintf(f.program.stdout, "Usage: %s%s [flags]\n\n%s\n", f.Name(), operand, f.describe)

	f.VisitAll(func(fl *flag.Flag) {
		argument, usage := flag.UnquoteUsage(fl)
		fmt.Fprintf(f.program.stdout, "\n  %s\n      %s (", strings.TrimSpace("--"+fl.Name+" "+argument), usage)
		if fl.DefValue != "" {
			fmt.Fprintf(f.program.stdout, "default %s, ", fl.DefValue)
		}
		fmt.Fprintf(f.program.stdout, "environment %s)\n", envName(fl.Name))
	})
}
