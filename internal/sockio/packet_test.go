package sockio

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	cases := []struct {
		in   string
		want packet
	}{
		{`0`, packet{kindConnect, "/", noID, nil}},
		{`0/dev-worker,`, packet{kindConnect, "/dev-worker", noID, nil}},
		{`0/dev-worker`, packet{kindConnect, "/dev-worker", noID, nil}},
		{`0/dev-worker,{"token":"t"}`, packet{kindConnect, "/dev-worker", noID, []byte(`{"token":"t"}`)}},
		{`1/dev-worker,`, packet{kindDisconnect, "/dev-worker", noID, nil}},
		{`2["run:subscribe",{"version":"1"}]`, packet{kindEvent, "/", noID, []byte(`["run:subscribe",{"version":"1"}]`)}},
		{`2/worker,12["ask"]`, packet{kindEvent, "/worker", 12, []byte(`["ask"]`)}},
		{`3/worker,12[]`, packet{kindAck, "/worker", 12, []byte(`[]`)}},
		{`3012["x"]`, packet{kindAck, "/", 12, []byte(`["x"]`)}},
		{`4{"message":"no"}`, packet{kindConnectError, "/", noID, []byte(`{"message":"no"}`)}},
		{`4/a,"no"`, packet{kindConnectError, "/a", noID, []byte(`"no"`)}},
	}
	for _, c := range cases {
		t.Run(c.in, func(t *testing.T) {
			t.Parallel()
			got, err := decode([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(packet{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		``, `x`, `7`, `-1`,
		`0[]`, `0{`, `0"x"`, `01{}`, `0 {}`, // connect takes an object or nothing
		`1{}`, `1[]`, `15`, // disconnect takes nothing
		`2`, `2/a,`, `2{}`, `2"a"`, `2["a"`, `2["a"]x`, `299999999999999999999["a"]`,
		`3["a"]`, `31`, `31{}`, // an acknowledgement has an id and a list
		`4`, `4[]`, `41{}`,
		`51-["a",{"_placeholder":true,"num":0}]`, `61-1[]`, // binary
	} {
		if p, err := decode([]byte(in)); !errors.Is(err, errMalformed) {
			t.Errorf("decode %q: %+v, %v", in, p, err)
		}
	}
}

func TestEvent(t *testing.T) {
	t.Parallel()
	p := packet{kind: kindEvent, data: []byte(` [ "run:subscribe" , {"a": 1} , null ] `)}
	name, args, err := p.event()
	if err != nil || name != "run:subscribe" || len(args) != 2 || string(args[0]) != `{"a": 1}` || string(args[1]) != "null" {
		t.Errorf("got %q %s, %v", name, args, err)
	}
	for _, data := range []string{`[]`, `[1]`, `[null]`, `[["a"]]`, `["connect"]`, `["disconnecting",1]`} {
		p.data = []byte(data)
		if _, _, err := p.event(); !errors.Is(err, errMalformed) {
			t.Errorf("%s is no event: %v", data, err)
		}
	}
}

func TestEventFrame(t *testing.T) {
	t.Parallel()
	for namespace, want := range map[string]string{
		"/":           `42["run:notify",{"version":"1"},null]`,
		"/dev-worker": `42/dev-worker,["run:notify",{"version":"1"},null]`,
	} {
		got, err := eventFrame(namespace, "run:notify", []any{map[string]string{"version": "1"}, nil})
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v", namespace, got, err)
		}
	}
	if _, err := eventFrame("/", "x", []any{make(chan int)}); err == nil {
		t.Error("a channel has no JSON")
	}
}

func FuzzPacket(f *testing.F) {
	for _, s := range []string{
		`0/dev-worker,`, `0/dev-worker,{"sid":"x"}`, `0`, `1/dev-worker,`,
		`2/dev-worker,["run:subscribe",{"version":"1","runFriendlyIds":["run_a","run_b"]}]`,
		`2/dev-worker,["run:notify",{"version":"1","run":{"friendlyId":"run_a"}}]`,
		`2/worker,0["ask"]`, `3/worker,0[{}]`, `4/dev-worker,{"message":"unauthorized"}`,
		`51-["x",{"_placeholder":true,"num":0}]`, `2007["x"]`, `2/,["x"]`, `2["` + "\xff" + `"]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := decode(in)
		if err != nil {
			return
		}
		if p.kind == kindEvent {
			_, _, _ = p.event()
		}
		frame := p.frame()
		again, err := decode(frame[1:])
		if err != nil {
			t.Fatalf("%q was read, but not what it became: %q: %v", in, frame, err)
		}
		if d := cmp.Diff(p, again, cmp.AllowUnexported(packet{})); d != "" {
			t.Errorf("(-first +second):\n%s", d)
		}
		if second := again.frame(); !bytes.Equal(frame, second) {
			t.Errorf("%q became %q", frame, second)
		}
	})
}
