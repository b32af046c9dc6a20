// Command load measures a Sear server from outside, over HTTP alone: it triggers runs
// like the SDK, executes them like the dev command of the CLI, and sets each figure
// beside a ceiling measured in the same minute. It fails when a run is lost or done
// twice, and does not judge how fast the machine is.
package main
