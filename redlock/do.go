package redlock

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Do takes resource as [Manager.Lock] does, runs fn while the lock is held and
// renewed, and unlocks it, whatever fn does: a panic and runtime.Goexit release
// too. fn's ctx ends when ctx does, or when the lock is over, with the lock's
// Err as the cause. The renewal goes on until fn returns, also when ctx has
// ended.
//
// Where the lock cannot be taken fn does not run, and the error is that of
// [Manager.Lock]. Else fn's error comes first; an error of the release is joined
// to it, or dropped with [WithIgnoreReleaseError]. An fn that has unlocked the
// lock itself is no error.
func (m *Manager) Do(
	ctx context.Context, resource string, fn func(context.Context, *Lock) error, opts ...LockOption,
) (err error) {
	lock, o, err := m.lockRenewed(ctx, resource, fn, opts)
	if err != nil {
		return err
	}
	within, cancel := context.WithCancel(lock.Context(ctx))
	defer cancel()
	defer func() {
		if failed := releaseError(m.Unlock(ctx, lock), o); failed != nil && !covers(err, failed) {
			err = joined(err, failed)
		}
	}()
	return fn(within, lock)
}

// lockRenewed takes the lock for fn. The call is counted out before fn runs,
// which may close the manager, and also when a pause function of the caller's
// panics.
func (m *Manager) lockRenewed(
	ctx context.Context, resource string, fn func(context.Context, *Lock) error, opts []LockOption,
) (lock *Lock, o *lockOptions, err error) {
	o, err = m.enter(resource, opts)
	if err != nil {
		return nil, nil, err
	}
	defer func() { m.tellTaken(ctx, o, lock, err) }()
	defer m.leave()
	if fn == nil {
		return nil, o, configErrorf("fn", "expected what runs while the lock is held, got nil")
	}
	if err := m.renewed(o); err != nil {
		return nil, o, err
	}
	o.wait, o.begun = true, time.Now()
	lock, err = m.lock(ctx, o)
	return lock, o, err
}

// renewed has the lock renewed, if that is possible in time. One without expiry
// is always confirmed, and needs no more.
func (m *Manager) renewed(o *lockOptions) error {
	o.renew = true
	most := m.longestInterval(o.ttl)
	if m.cfg.RenewInterval > most && !o.noExpiry {
		return configErrorf("renew_interval", "expected %v at most for a TTL of %v, got %v",
			most, o.ttl, m.cfg.RenewInterval)
	}
	return nil
}

// covers reports whether err says already what the release has failed for: fn
// may have returned why the lock is over.
func covers(err, failed error) bool {
	cause := errors.Unwrap(failed)
	return errors.Is(err, failed) || cause != nil && errors.Is(err, cause)
}

// joined is errors.Join on one line.
func joined(err, failed error) error {
	if err == nil {
		return failed
	}
	return fmt.Errorf("%w; %w", err, failed)
}

// releaseError is what Do reports of its release.
func releaseError(err error, o *lockOptions) error {
	if o.ignoreRelease || errors.Is(err, ErrReleased) {
		return nil
	}
	return err
}
