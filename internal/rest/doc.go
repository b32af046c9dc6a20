// Package rest lets HTTP handlers return errors: it decodes requests, encodes
// responses and is the one place where an error becomes a status and a body. It
// knows no route, no credential and no resource of Sear.
package rest
