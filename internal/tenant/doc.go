// Package tenant says who owns what in Sear and who may do what: organisations,
// projects, environments, users, and the rights that a credential carries. It does
// not check credentials; package auth turns a request into a Principal.
package tenant
