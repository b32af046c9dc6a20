// Package api serves the public REST surface: it decodes, authorises, calls the
// engine or reads the store, and encodes. It decides nothing about runs, and does not
// speak to workers.
package api
