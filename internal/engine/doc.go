// Package engine makes run.Decide durable: it loads runs, lets the domain decide,
// and commits the plan with everything that belongs to it in one transaction.
// It decides nothing about a single run itself and knows no HTTP.
package engine
