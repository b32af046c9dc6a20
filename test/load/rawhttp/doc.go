// Package rawhttp is an HTTP/1.1 client that spends as little CPU as it can, so that
// what it measures is the server. It knows keep-alive, Content-Length and chunked
// bodies, and neither TLS, redirects, compression nor proxies.
package rawhttp
