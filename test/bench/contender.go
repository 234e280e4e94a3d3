package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidislock"

	"github.com/redlock-go/redlock/redlock"
)

// Take waits for a resource. What it returns gives the resource back.
type Take func(ctx context.Context, resource string) (release func(context.Context) error, err error)

// Contenders are the ways of waiting for a resource that others hold, by name.
// Each is opened once in a process, with the addresses of the servers.
var Contenders = map[string]func(addrs []string) (Take, error){
	"redlock":     openRedlock,
	"redsync":     openRedsync,
	"rueidislock": openRueidislock,
}

func openRedlock(addrs []string) (Take, error) {
	m, err := redlock.Open(addrs...)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, resource string) (func(context.Context) error, error) {
		lock, err := m.Lock(ctx, resource)
		if err != nil {
			return nil, err
		}
		return lock.Unlock, nil
	}, m.Ping(context.Background())
}

// openRedsync opens redsync with more tries than it has by default: with its 32
// it gives up.
func openRedsync(addrs []string) (Take, error) {
	var pools []redsyncredis.Pool
	for _, addr := range addrs {
		pools = append(pools, goredis.NewPool(redis.NewClient(&redis.Options{Addr: addr})))
	}
	r := redsync.New(pools...)
	return func(ctx context.Context, resource string) (func(context.Context) error, error) {
		mutex := r.NewMutex(resource, redsync.WithExpiry(TTL), redsync.WithTries(1000))
		if err := mutex.LockContext(ctx); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return unlockRedsync(ctx, mutex) }, nil
	}, nil
}

var errNotHeld = errors.New("it was lost before it was given back")

// openRueidislock opens rueidislock in its fastest mode. It has one client, thus
// one server: there it keeps as many keys as there are servers.
func openRueidislock(addrs []string) (Take, error) {
	locker, err := rueidislock.NewLocker(rueidislock.LockerOption{
		ClientOption:   rueidis.ClientOption{InitAddress: addrs[:1], ForceSingleClient: true},
		KeyMajority:    Nodes/2 + 1,
		KeyValidity:    TTL,
		NoLoopTracking: true,
	})
	if err != nil {
		return nil, fmt.Errorf("rueidislock: %w", err)
	}
	return func(ctx context.Context, resource string) (func(context.Context) error, error) {
		held, release, err := locker.WithContext(ctx, resource)
		if err != nil {
			return nil, err
		}
		return func(context.Context) error {
			lost := held.Err()
			release()
			if lost != nil {
				return errNotHeld
			}
			return nil
		}, nil
	}, nil
}
