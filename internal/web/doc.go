// Package web serves the few pages that the official command line opens in a browser:
// signing in, approving a login, and how to get an access token. They need no script.
// It is not a dashboard, and it offers no API.
package web
