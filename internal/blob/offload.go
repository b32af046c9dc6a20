package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"sear/internal/run"
)

// Inline is the size in bytes up to which a packet stays with its run.
//
//limit:packets A payload or output that stays in the database | bytes | it is kept among the large ones
const Inline = 512 << 10

// Offload returns a packet as it is to be kept with its run: as it is, or, when it is
// larger than Inline or has bytes that Postgres has no place for in a text, as a
// reference to what it stored. The reference follows from the content and the hour, so that
// a call that is repeated stores nothing twice, and a packet that is deleted with the last
// of its runs is never one that a new run is about to refer to.
//
// expect is told of the packet before it is stored, and nothing is stored when it fails: so
// whatever happens after, there is somebody who knows of the packet and can delete it.
func (s *Store) Offload(ctx context.Context, envID string, p run.Packet, expect func(ctx context.Context, envID, path string) error) (run.Packet, error) {
	if p.Type == run.TypeStore || len(p.Data) <= Inline && strings.IndexByte(p.Data, 0) < 0 {
		return p, nil
	}
	sum := sha256.Sum256([]byte(p.Type + "\n" + p.Data))
	path := "content/" + time.Now().UTC().Format("2006010215") + "/" + hex.EncodeToString(sum[:])
	if err := expect(ctx, envID, path); err != nil {
		return run.Packet{}, err
	}
	if err := s.Put(ctx, envID, path, p.Type, strings.NewReader(p.Data)); err != nil {
		return run.Packet{}, err
	}
	return run.Packet{Data: path, Type: run.TypeStore}, nil
}
