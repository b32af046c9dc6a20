// Package devrun runs a project's own `trigger.dev dev` against a Sear server, and one
// task through it when asked to. It does not serve the API: it is handed the means to
// start a server, and speaks to it only over HTTP.
package devrun
