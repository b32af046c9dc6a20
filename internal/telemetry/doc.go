// Package telemetry tells what happened to a run as spans: one for the run from its
// trigger to its end, and one below it for each attempt. They are derived from the
// run and its snapshots, so the same history always gives the same spans.
package telemetry
