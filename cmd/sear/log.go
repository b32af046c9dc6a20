package main

import (
	"errors"
	"io"
	"log/slog"
)

// logFlags say how the server's log looks.
type logFlags struct {
	level  slog.Level
	format string
}

func (l *logFlags) register(f *flagSet) {
	f.TextVar(&l.level, "log-level", slog.LevelInfo, "the least `level` that is logged: DEBUG, INFO, WARN or ERROR")
	f.Func("log-format", "the `format` of the log, text or json; text when not given", func(value string) error {
		if value != "text" && value != "json" {
			return errors.New("neither text nor json")
		}
		l.format = value
		return nil
	})
}

// logger returns a logger that writes to w.
func (l *logFlags) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.level}
	if l.format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
