package store

// QueueCounts is the part of a query that counts the runs of queues.
const (
	QueueCounts = queueCounts
	OwnLane     = ownLane
)

// Migrations are the scripts that make the schema.
var Migrations = migrations
