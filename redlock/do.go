package redlock

import (
	"context"
	"errors"
	"time"
)

// Do takes resource as [Manager.Lock] does, runs fn while the lock is held and
// renewed, and unlocks it, whatever fn does: a panic and runtime.Goexit release
// too. fn's ctx ends when ctx does, or when the lock is over, with the lock's
// Err as the cause.
//
// fn's error comes first; an error of the release is joined to it, or dropped
// with [WithIgnoreReleaseError]. An fn that has unlocked the lock itself is no
// error.
func (m *Manager) Do(
	ctx context.Context, resource string, fn func(context.Context, *Lock) error, opts ...LockOption,
) (err error) {
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	lock, o, renewed, err := m.lockRenewed(ctx, renewing, resource, fn, opts)
	if err != nil {
		return err
	}
	within, cancel := context.WithCancel(lock.Context(ctx))
	defer cancel()
	defer func() {
		stop()
		<-renewed // a renewal must not be on its way when the release is
		if failed := releaseError(m.Unlock(ctx, lock), o); failed != nil && !errors.Is(err, failed) {
			err = errors.Join(err, failed)
		}
	}()
	return fn(within, lock)
}

// lockRenewed takes the lock for fn and has it renewed until renewing ends;
// renewed is closed then. The call is counted out before fn runs, which may
// close the manager, and also when a pause function of the caller's panics.
func (m *Manager) lockRenewed(
	ctx, renewing context.Context, resource string, fn func(context.Context, *Lock) error, opts []LockOption,
) (lock *Lock, o *lockOptions, renewed chan struct{}, err error) {
	o, err = m.enter(resource, opts)
	if err != nil {
		return nil, nil, nil, err
	}
	defer m.leave()
	if err := m.renewable(o, fn); err != nil {
		return nil, nil, nil, err
	}
	o.wait = true
	lock, err = m.lock(ctx, o)
	if err != nil {
		return nil, nil, nil, err
	}
	renewed = make(chan struct{})
	m.tasks.Go(func() error { defer close(renewed); lock.renew(renewing); return nil })
	return lock, o, renewed, nil
}

// renewable refuses what Do cannot run or cannot renew in time.
func (m *Manager) renewable(o *lockOptions, fn func(context.Context, *Lock) error) error {
	if fn == nil {
		return configErrorf("fn", "is nil; it must be what runs while the lock is held")
	}
	most := m.longestInterval(o.ttl)
	if m.cfg.RenewInterval > most && !o.noExpiry {
		return configErrorf("renew_interval", "is %v, too long for a TTL of %v; expected %v at most",
			m.cfg.RenewInterval, o.ttl, most)
	}
	return nil
}

// longestInterval is half of the validity that a lock of the given TTL has: a
// renewal can fail once, and be made good.
func (m *Manager) longestInterval(ttl time.Duration) time.Duration {
	return validity(ttl, m.cfg.DriftFactor, m.cfg.Margin) / 2
}

// releaseError is what Do reports of its release.
func releaseError(err error, o *lockOptions) error {
	if o.ignoreRelease || errors.Is(err, ErrReleased) {
		return nil
	}
	return err
}

// renew extends the lock until ctx or the lock ends: 0.9 to 1.1 intervals after
// the last renewal, and quickly again after a failure.
func (l *Lock) renew(ctx context.Context) {
	if l.noExpiry {
		return
	}
	after := jitter(l.interval()) // the first anywhere in the interval, so that locks do not renew in step
	for failures := 0; ; {
		pause(after, ctx.Done(), l.Done())
		if ctx.Err() != nil || l.Err() != nil {
			return
		}
		if err := l.Extend(ctx, 0); err == nil {
			failures, after = 0, l.interval()*9/10+jitter(l.interval()/5)
			continue
		}
		failures++
		after = min(l.interval(), 10*time.Millisecond<<min(failures, 6))
	}
}

// interval is the time between two renewals: a third of the TTL, or half of the
// validity where drift and margin take more than that.
func (l *Lock) interval() time.Duration {
	if l.m.cfg.RenewInterval > 0 {
		return l.m.cfg.RenewInterval
	}
	return max(min(l.ttl/3, l.m.longestInterval(l.ttl)), time.Millisecond)
}
