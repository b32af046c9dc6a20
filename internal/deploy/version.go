package deploy

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Day is the date part of versions made now.
func Day(now time.Time) string { return now.UTC().Format("20060102") }

// NextVersion is the version of what is registered now, after latest ("" for none):
// the date, and a number that starts again each day.
func NextVersion(latest string, now time.Time) string {
	today := Day(now)
	date, number, _ := strings.Cut(latest, ".")
	if date != today {
		return today + ".1"
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		n = 0
	}
	return fmt.Sprintf("%s.%d", today, n+1)
}

// CompareVersions is negative when a is older than b, and positive when it is newer:
// the number counts, so .10 comes after .9.
func CompareVersions(a, b string) int {
	dayA, numberA, _ := strings.Cut(a, ".")
	dayB, numberB, _ := strings.Cut(b, ".")
	return cmp.Or(cmp.Compare(dayA, dayB), cmp.Compare(len(numberA), len(numberB)), cmp.Compare(numberA, numberB))
}

// Worker is a registered build.
type Worker struct {
	ID, EnvID, Version string
	Manifest           Manifest // without source files
	CreatedAt          time.Time
}
