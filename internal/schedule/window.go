package schedule

import (
	"strconv"
	"strings"
)

// maxWindow is what a window may be at most, in each of its units.
var maxWindow = map[byte]uint64{'m': 24 * 60, 'h': 24, '%': 100}

// checkWindow refuses what is no window: whole minutes ("30m") or hours ("2h") up to a
// day, or a share of the time to the next occurrence ("30%"). Within it a schedule may be
// late, so that those of the same time are spread. Ours are not late: it is kept and shown.
func checkWindow(text string) error {
	if text != "" {
		number, unit := text[:len(text)-1], text[len(text)-1]
		n, err := strconv.ParseUint(number, 10, 16)
		if most, ok := maxWindow[unit]; ok && err == nil && n <= most && !strings.HasPrefix(number, "+") {
			return nil
		}
	}
	return refuse("must be whole minutes or hours up to 24h, or whole percents up to 100%%, such as 30m, 2h or 30%%")
}
