package schedule

// Describe says in English when c fires.
func (c Cron) Describe() string { return c.text }
