package sockio

import "testing"

// TestEmptyRoomsAreForgotten: runs come and go, each with a room of its own.
func TestEmptyRoomsAreForgotten(t *testing.T) {
	t.Parallel()
	n := New(Options{}).Of("/a", Handlers{})
	k, other := &Socket{namespace: n}, &Socket{namespace: n}
	for _, room := range []string{"1", "2", "2"} {
		if err := k.Join(room); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Join("2"); err != nil {
		t.Fatal(err)
	}
	k.Leave("1")
	k.Leave("1")
	k.Leave("never joined")
	if len(n.rooms) != 1 || len(n.rooms["2"]) != 2 || len(k.rooms) != 1 {
		t.Errorf("rooms %v, of the socket %v", n.rooms, k.rooms)
	}
	n.leaveAll(k)
	n.leaveAll(other)
	if len(n.rooms) != 0 {
		t.Errorf("still there: %v", n.rooms)
	}
}
