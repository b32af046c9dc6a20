// Package queue says which runs may go next: limits, keys and a fair choice
// between lanes. It is pure: loads, time and randomness are arguments.
package queue
