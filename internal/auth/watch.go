package auth

import (
	"context"
	"time"

	"sear/internal/fault"
	"sear/internal/store"
)

// lookAgain is how often what is open looks its credential up though nothing was hinted.
const lookAgain = cacheTTL

// leastWait keeps a clock that was set back from making a busy loop of the end of a credential.
//
//limit:inside a pause of a loop
const leastWait = 10 * time.Millisecond

// Watch returns a context that ends with ctx, and with the credential that the request of
// ctx came with: it was revoked or replaced, has expired, or leads nowhere since its branch
// was archived. [Ended] says whether that was why. It takes a moment: what must not be done
// for a credential that has ended asks [Auth.Check] just before.
//
// Whatever stays open after its request was authenticated lives in such a context, whatever
// the class of the credential: Watch presents it anew as [Auth.Require] did, each time that
// [store.HintTenant] is hinted. stop ends the context and returns when nothing of it is left.
func (a *Auth) Watch(ctx context.Context) (watched context.Context, stop func()) {
	c, ok := ctx.Value(credentialKey{}).(credential)
	watched, cancel := context.WithCancelCause(ctx)
	if !ok {
		return watched, func() { cancel(context.Canceled) }
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for watched.Err() == nil {
			if err := a.valid(watched, c); err != nil {
				cancel(err)
			}
		}
	}()
	return watched, func() { cancel(context.Canceled); <-done }
}

// valid returns when it is time to look a credential up again, or with the reason why it is
// refused. A store that does not answer refuses nobody.
func (a *Auth) valid(ctx context.Context, c credential) error {
	// A hint goes to all watches there are before another can be made, so that the caches
	// looked into below have heard of each change that this watch is too new for.
	watch := a.store.Watch(store.HintTenant, "")
	defer watch.Close()
	p, err := a.authenticate(ctx, c)
	if refuses(err) {
		return err
	}
	wait := lookAgain
	if err == nil && !p.ExpiresAt.IsZero() {
		wait = min(wait, max(leastWait, time.Until(p.ExpiresAt)))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-watch.C():
	case <-timer.C:
	}
	return nil
}

// Check reports whether the credential that the request of ctx came with would be refused by
// now, and how. Where it was ended on this node before, it is.
func (a *Auth) Check(ctx context.Context) error {
	c, ok := ctx.Value(credentialKey{}).(credential)
	if !ok {
		return nil
	}
	if _, err := a.authenticate(ctx, c); refuses(err) {
		return err
	}
	return nil
}

// Ended is the refusal that a context of [Auth.Watch], or one below it, has ended with; nil
// when it goes on or has ended for another reason.
func Ended(ctx context.Context) error {
	if err := context.Cause(ctx); refuses(err) {
		return err
	}
	return nil
}

// refuses reports whether an error is about the credential, not about looking it up.
func refuses(err error) bool {
	return fault.Is(err, fault.Unauthorized) || fault.Is(err, fault.Forbidden)
}
