// Package blob keeps packets that are too large for the database, or that no text
// column can hold: as files below the data directory, or as objects in an
// S3-compatible store. It knows neither runs nor requests: who may read a packet is
// decided elsewhere.
//
// On disk each node keeps its own files. Several nodes on one Postgres need a directory
// that all of them see, such as a network file system: files are written under a name
// of their own and renamed, which is all that a shared directory has to support. Or
// they need a bucket, which clients then reach without passing through Sear.
package blob
