package limit

// Len counts the buckets that are remembered.
func (b *Buckets) Len() (n int) {
	for i := range b.shards {
		n += len(b.shards[i].buckets)
	}
	return n
}
