package deploy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// NextVersion is the version of a worker registered now, after latest ("" for
// none): the date, and a number that starts again each day.
func NextVersion(latest string, now time.Time) string {
	today := now.UTC().Format("20060102")
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

// Worker is a registered build.
type Worker struct {
	ID, EnvID, Version string
	Manifest           Manifest // without source files
	CreatedAt          time.Time
}
