package deploy

import (
	"cmp"
	"fmt"
	"regexp"
	"time"

	"sear/internal/fault"
)

// Command is something that may happen to a deployment. The commands are the types
// of this file; nothing else changes a deployment.
type Command interface{ deploymentCommand() }

// Progress says that whoever builds the deployment begins the next step. What it
// has learnt by then replaces what the client said.
type Progress struct {
	ContentHash, Runtime string
	Git                  *Git
	Build                Build
}

// Register brings the worker that came out of the build.
type Register struct {
	WorkerID, ContentHash, Runtime, RuntimeVersion string
}

// Finalize says that the image, or what stands in for it, is in its place.
type Finalize struct{ Digest string }

// Fail ends a deployment with an error.
type Fail struct{ Error Error }

// Cancel ends a deployment by somebody's wish.
type Cancel struct{ Reason string }

// Expire ends a deployment that takes too long.
type Expire struct{}

func (Progress) deploymentCommand() {}
func (Register) deploymentCommand() {}
func (Finalize) deploymentCommand() {}
func (Fail) deploymentCommand()     {}
func (Cancel) deploymentCommand()   {}
func (Expire) deploymentCommand()   {}

// patience is how long a deployment may stay in a status, and what is said of one that stayed longer.
var patience = map[Status]struct {
	limit time.Duration
	text  string
}{
	Pending:    {15 * time.Minute, "Building timed out"},
	Installing: {8 * time.Minute, "Installing dependencies timed out"},
	Building:   {8 * time.Minute, "Building timed out"},
	Deploying:  {8 * time.Minute, "Indexing timed out"},
}

// Begin gives a new deployment its first status: the given one, else PENDING when the
// server is to build it, and BUILDING when the client does.
func Begin(d Deployment, now time.Time) Deployment {
	first := Building
	if d.Build.Native {
		first = Pending
	}
	d.CreatedAt = now
	return enter(d, cmp.Or(d.Status, first), now)
}

// enter moves a deployment to a status.
func enter(d Deployment, s Status, now time.Time) Deployment {
	d.Status, d.Due = s, time.Time{}
	if p, ok := patience[s]; ok {
		d.Due = now.Add(p.limit)
	}
	switch s {
	case Installing:
		d.StartedAt = now
	case Building:
		if d.StartedAt.IsZero() { // the client builds, and installs before it tells
			d.StartedAt = now
		} else {
			d.InstalledAt = now
		}
	case Deploying:
		d.BuiltAt = now
	case Deployed:
		d.DeployedAt = now
	case Failed, TimedOut:
		d.FailedAt = now
	case Canceled:
		d.CanceledAt = now
	}
	return d
}

// Decide says what a command makes of a deployment. A refused command may still
// change it: what comes back is to be stored even with an error.
func Decide(d Deployment, c Command, now time.Time) (Deployment, error) {
	switch c := c.(type) {
	case Progress:
		return progress(d, c, now)
	case Register:
		return register(d, c, now)
	case Finalize:
		return finalize(d, c, now)
	case Fail:
		return fail(d, c.Error, now), nil
	case Cancel:
		if d.Status.Final() {
			return d, fault.Newf(fault.Conflict, "Deployment is %s and cannot be canceled", d.Status)
		}
		d.CanceledReason = c.Reason
		return enter(d, Canceled, now), nil
	case Expire:
		if d.Due.IsZero() || d.Due.After(now) {
			return d, nil
		}
		d.Error = &Error{Name: "TimeoutError", Message: patience[d.Status].text}
		return enter(d, TimedOut, now), nil
	}
	return d, fmt.Errorf("deploy: unknown command %T", c)
}

// fail is a no-op on a deployment that has ended.
func fail(d Deployment, e Error, now time.Time) Deployment {
	if d.Status.Final() {
		return d
	}
	d.Error = &e
	return enter(d, Failed, now)
}

func progress(d Deployment, c Progress, now time.Time) (Deployment, error) {
	next, ok := map[Status]Status{Pending: Installing, Installing: Building}[d.Status]
	if !ok {
		return d, fault.Newf(fault.Conflict, "Deployment is %s and cannot be progressed", d.Status)
	}
	d.ContentHash, d.Runtime = cmp.Or(c.ContentHash, d.ContentHash), cmp.Or(c.Runtime, d.Runtime)
	d.Git, d.Build = cmp.Or(c.Git, d.Git), d.Build.and(c.Build)
	return enter(d, next, now), nil
}

// and adds what is newly known about a build.
func (b Build) and(n Build) Build {
	return Build{
		ID: cmp.Or(n.ID, b.ID), Native: n.Native || b.Native, ArtifactKey: cmp.Or(n.ArtifactKey, b.ArtifactKey),
		ConfigFilePath: cmp.Or(n.ConfigFilePath, b.ConfigFilePath), SkipPromotion: n.SkipPromotion || b.SkipPromotion,
		SkipEnqueue: n.SkipEnqueue || b.SkipEnqueue, FromBundle: n.FromBundle || b.FromBundle,
		RedeployOf: cmp.Or(n.RedeployOf, b.RedeployOf),
	}
}

// register takes the first worker. The same build again changes nothing, so that the
// call may be repeated; another build under the same version is a mistake that no
// version should come of.
func register(d Deployment, c Register, now time.Time) (Deployment, error) {
	if d.WorkerID != "" {
		if d.ContentHash == c.ContentHash {
			return d, nil
		}
		const text = "A worker with other contents is registered for this version"
		return fail(d, Error{Name: "ContentHashMismatch", Message: text}, now), fault.New(fault.Conflict, text)
	}
	if d.Status != Building {
		return d, fault.Newf(fault.Conflict, "Deployment is %s, not BUILDING, and takes no worker", d.Status)
	}
	d.WorkerID, d.ContentHash = c.WorkerID, c.ContentHash
	d.Runtime, d.RuntimeVersion = cmp.Or(c.Runtime, d.Runtime), c.RuntimeVersion
	return enter(d, Deploying, now), nil
}

var imageDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// finalize may be repeated. A deployment nobody knows the tasks of fails.
func finalize(d Deployment, c Finalize, now time.Time) (Deployment, error) {
	switch {
	case d.Status == Deployed:
		return d, nil
	case d.WorkerID == "":
		const text = "Deployment has no worker: its tasks were never indexed"
		return fail(d, Error{Name: "DeploymentError", Message: text}, now), fault.New(fault.Malformed, text)
	case d.Status != Deploying:
		return d, fault.Newf(fault.Malformed, "Deployment is %s, not DEPLOYING, and cannot be finalized", d.Status)
	}
	if imageDigest.MatchString(c.Digest) {
		d.Image += "@" + c.Digest
	}
	return enter(d, Deployed, now), nil
}
