package id

import "time"

// From is the lower bound of the ids minted from the millisecond of an instant on:
// they sort after it, and earlier ones before it. It is itself no id.
func From(at time.Time) string {
	const lastMilli = 1<<48 - 1
	ms := min(max(at.UnixMilli(), 0), lastMilli)
	var b [15]byte
	putTime(b[:8], ms*1000)
	return encoding.EncodeToString(b[:])
}
