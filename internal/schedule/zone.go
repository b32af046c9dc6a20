package schedule

import (
	_ "embed" // zones.txt
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the zones are the same on every machine
)

//go:generate go run ../../test/tools/zones

//go:embed zones.txt
var zoneList string

var zones = sync.OnceValue(func() []string { return strings.Fields(zoneList) })

var loaded sync.Map // name → *time.Location

// Zones returns the names of the time zones: UTC, then the others in order.
func Zones() []string { return slices.Clone(zones()) }

// LoadZone returns a zone that Zones lists. Names are matched to the letter.
func LoadZone(name string) (*time.Location, error) {
	if zone, ok := loaded.Load(name); ok {
		return zone.(*time.Location), nil
	}
	names := zones()
	if _, listed := slices.BinarySearch(names[1:], name); !listed && name != names[0] {
		return nil, refuse("unknown time zone %q", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	loaded.Store(name, zone)
	return zone, nil
}
