package bench

import (
	"context"
	"errors"
	"testing"

	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
)

// Contestant is a way of locking.
type Contestant struct {
	Name string

	// Caller prepares one caller with a resource of its own.
	Caller func(resource string) Pair
}

// Pair takes a lock and gives it back. An error is a try that failed.
type Pair func(ctx context.Context) error

// Redlock is this library.
func (q *Quorum) Redlock() Contestant {
	return Contestant{"redlock", func(resource string) Pair {
		return func(ctx context.Context) error {
			lock, err := q.Manager.TryLock(ctx, resource)
			if err != nil {
				return err
			}
			return lock.Unlock(ctx)
		}
	}}
}

// Redsync is redsync as it is by default: it waits for all nodes.
func (q *Quorum) Redsync() Contestant { return q.redsync("redsync", redsync.WithFailFast(false)) }

// RedsyncFailFast is redsync as it returns at the majority.
func (q *Quorum) RedsyncFailFast() Contestant {
	return q.redsync("redsync-fail-fast", redsync.WithFailFast(true))
}

var errNotDeleted = errors.New("no majority has deleted the key")

func (q *Quorum) redsync(name string, mode redsync.Option) Contestant {
	var pools []redsyncredis.Pool
	for _, client := range q.Clients {
		pools = append(pools, goredis.NewPool(client))
	}
	r := redsync.New(pools...)
	return Contestant{name, func(resource string) Pair {
		mutex := r.NewMutex(resource, redsync.WithExpiry(TTL), mode)
		return func(ctx context.Context) error {
			if err := mutex.TryLockContext(ctx); err != nil {
				return err
			}
			return unlockRedsync(ctx, mutex)
		}
	}}
}

func unlockRedsync(ctx context.Context, mutex *redsync.Mutex) error {
	ok, err := mutex.UnlockContext(ctx)
	if !ok && err == nil {
		err = errNotDeleted
	}
	return err
}

// All are the contestants, this library first.
func (q *Quorum) All(tb testing.TB) []Contestant {
	return []Contestant{q.Redlock(), q.FanOut(tb), q.Redsync(), q.RedsyncFailFast()}
}
