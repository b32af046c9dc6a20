package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"sear/internal/fault"
)

func TestKindSurvivesWrapping(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("trigger hello: %w", fault.Wrap(fault.TooLarge, io.ErrShortBuffer, "Payload too large"))
	if got := fault.KindOf(err); got != fault.TooLarge {
		t.Errorf("KindOf = %v, want %v", got, fault.TooLarge)
	}
	if !errors.Is(err, io.ErrShortBuffer) {
		t.Error("the private cause is lost")
	}
	if fault.Is(nil, fault.Internal) {
		t.Error("nil is not a fault")
	}
}

func TestUnclassifiedIsInternal(t *testing.T) {
	t.Parallel()
	if got := fault.KindOf(io.EOF); got != fault.Internal {
		t.Errorf("KindOf(io.EOF) = %v, want internal", got)
	}
}

func TestWithCodeCopies(t *testing.T) {
	t.Parallel()
	base := fault.New(fault.Forbidden, "Unauthorized")
	if coded := base.WithCode("unauthorized"); coded.Code != "unauthorized" || base.Code != "" {
		t.Errorf("coded %q, base %q", coded.Code, base.Code)
	}
}

func TestEveryKindHasAName(t *testing.T) {
	t.Parallel()
	for k := fault.Internal; k <= fault.Unavailable; k++ {
		if s := k.String(); s == "" || s == fmt.Sprintf("kind(%d)", int(k)) {
			t.Errorf("kind %d has no name", int(k))
		}
	}
}
