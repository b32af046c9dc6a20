package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one line of the table.
type row struct {
	phase   string // its letter
	what    string
	figure  string
	ceiling string  // "" when there is none
	ratio   float64 // of the figure to the ceiling; 0 when there is none
	goal    string  // "" when there is none
	met     bool
}

// table lays the rows out in columns.
func table(rows []row) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "phase\tfigure\t\tceiling\tratio\tgoal\tmet?")
	last := ""
	for _, r := range rows {
		letter := r.phase
		if letter == last {
			letter = ""
		}
		last = r.phase
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", letter, r.what, r.figure, r.ceiling, ratio(r.ratio), r.goal, r.verdict())
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}

func (r row) verdict() string {
	switch {
	case r.goal == "":
		return ""
	case r.met:
		return "yes"
	}
	return "no"
}

func ratio(v float64) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// perSecond shows a rate with thousands apart.
func perSecond(v float64) string { return thousands(int64(v+0.5)) + "/s" }

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// millis shows durations that are read together.
func millis(list ...time.Duration) string {
	parts := make([]string, len(list))
	for i, d := range list {
		parts[i] = strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 2, 64)
	}
	return strings.Join(parts, " / ") + " ms"
}

func megabytes(bytes int64) string {
	return strconv.FormatFloat(float64(bytes)/1e6, 'f', 1, 64) + " MB"
}

// perSecondList shows rates that are read together.
func perSecondList(list []float64) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = thousands(int64(v + 0.5))
	}
	return strings.Join(parts, " ") + " /s"
}
