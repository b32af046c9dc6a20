package deploy

import "sear/internal/fault"

// Direction is where a promotion may go from the current version.
type Direction int

// The directions.
const (
	Forward Direction = iota // to a newer version
	Back                     // to an older one
	Either
)

// CheckPromotion says why next cannot become the current version in the place of
// current, which is nil when there is none.
func CheckPromotion(current *Deployment, next Deployment, way Direction) error {
	switch {
	case next.Status != Deployed:
		return fault.New(fault.Malformed, "Deployment must be in the DEPLOYED state to be promoted.")
	case next.WorkerID == "":
		return fault.New(fault.Malformed, "Deployment is not associated with a worker and cannot be promoted.")
	case current == nil:
		return nil
	case current.ID == next.ID:
		return fault.New(fault.Malformed, "Deployment is already the current deployment.")
	}
	order := CompareVersions(next.Version, current.Version)
	if way == Forward && order < 0 {
		return fault.New(fault.Malformed, "Cannot promote a deployment that is older than the current deployment.")
	}
	if way == Back && order > 0 {
		return fault.New(fault.Malformed, "Cannot rollback to a deployment that is newer than the current deployment.")
	}
	return nil
}
