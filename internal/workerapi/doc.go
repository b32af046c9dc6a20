// Package workerapi serves those who execute runs: the dev command of the official
// CLI and the processes it starts, over HTTP and over the socket namespace
// /dev-worker. It decides nothing about runs, which is the engine's business, and
// serves nobody who triggers or reads them.
package workerapi
