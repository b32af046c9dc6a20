// Package crash shows what Sear promises: it triggers runs of every kind while nodes are
// killed, frozen or cut off and workers die, and then compares what was acknowledged with
// what is in the store.
package crash
