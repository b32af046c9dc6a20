// Package auth turns the credentials of a request into a [tenant.Principal], and
// makes credentials: keys, tokens, signed addresses, logins of the command line and
// sessions of the browser. It does not know what a principal may do with a resource;
// handlers ask [tenant.Principal.Can].
package auth
