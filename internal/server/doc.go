// Package server puts Sear together, runs it, and stops it in order. It adds no
// behaviour of its own but the health check.
package server
