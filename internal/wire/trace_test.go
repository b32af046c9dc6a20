package wire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sear/internal/wire"
)

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	spanID  = "b7ad6b7169203331"
)

func TestParseTraceparent(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"00-" + traceID + "-" + spanID + "-01":                  true,
		"00-" + traceID + "-" + spanID + "-00":                  true,
		"cc-" + traceID + "-" + spanID + "-01":                  true,
		"cc-" + traceID + "-" + spanID + "-01-more":             true,
		"00-" + traceID + "-" + spanID + "-01-more":             false,
		"cc-" + traceID + "-" + spanID + "-01more":              false,
		"ff-" + traceID + "-" + spanID + "-01":                  false,
		"00-" + traceID + "-" + spanID:                          false,
		"00-" + traceID + "-" + spanID + "-0x":                  false,
		"00-0AF7651916CD43DD8448EB211C80319C-" + spanID + "-01": false,
		"00-00000000000000000000000000000000-" + spanID + "-01": false,
		"00-" + traceID + "-0000000000000000-01":                false,
		"00_" + traceID + "-" + spanID + "-01":                  false,
		"":                                                      false,
	} {
		trace, span, ok := wire.ParseTraceparent(text)
		if ok != want || ok && (trace != traceID || span != spanID) {
			t.Errorf("ParseTraceparent(%q) = %q, %q, %v", text, trace, span, ok)
		}
	}
}

func TestNewTrace(t *testing.T) {
	t.Parallel()
	var random [24]byte
	for i := range random {
		random[i] = byte(i + 1)
	}
	got := wire.NewTrace("00-"+traceID+"-"+spanID+"-01", random)
	want := wire.Trace{Context: map[string]string{"traceparent": "00-" + traceID + "-1112131415161718-01"}, Parent: spanID}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("a child's trace: %s", d)
	}
	got = wire.NewTrace("nonsense", random)
	want = wire.Trace{Context: map[string]string{"traceparent": "00-0102030405060708090a0b0c0d0e0f10-1112131415161718-01"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("a trace of its own: %s", d)
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-" + traceID + "-" + spanID + "-01")
	f.Add("00--")
	f.Fuzz(func(t *testing.T, text string) {
		trace, span, ok := wire.ParseTraceparent(text)
		if !ok {
			return
		}
		if again, parent, ok := wire.ParseTraceparent("00-" + trace + "-" + span + "-01"); !ok || again != trace || parent != span {
			t.Errorf("%q gives %q and %q, which do not read back", text, trace, span)
		}
	})
}
