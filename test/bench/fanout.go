package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
)

const releaseScript = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

// FanOut is what one writes by hand: a goroutine a node, and back at the
// majority. It has no retries, no clean-up after a try that failed and no
// validity: the least that a lock on a majority can cost with go-redis.
func (q *Quorum) FanOut(tb testing.TB) Contestant {
	tb.Helper()
	var digest string
	for _, client := range q.Clients {
		var err error
		if digest, err = client.ScriptLoad(tb.Context(), releaseScript).Result(); err != nil {
			tb.Fatal(err)
		}
	}
	return Contestant{"fan-out", func(resource string) Pair {
		return func(ctx context.Context) error {
			var random [16]byte
			_, _ = rand.Read(random[:]) // it never fails
			token := hex.EncodeToString(random[:])
			err := q.majority(func(client *redis.Client) (bool, error) {
				return client.SetNX(ctx, resource, token, TTL).Result()
			})
			if err != nil {
				return err
			}
			return q.majority(func(client *redis.Client) (bool, error) {
				return client.EvalSha(ctx, digest, []string{resource}, token).Bool()
			})
		}
	}}
}

var errNoMajority = errors.New("no majority")

// majority asks all nodes at once and returns with the vote that decides.
func (q *Quorum) majority(ask func(*redis.Client) (bool, error)) error {
	votes := make(chan bool, Nodes)
	for _, client := range q.Clients {
		go func() {
			yes, err := ask(client)
			votes <- yes && err == nil
		}()
	}
	yes, no := 0, 0
	for {
		if <-votes {
			yes++
		} else {
			no++
		}
		switch {
		case yes > Nodes/2:
			return nil
		case no > Nodes/2:
			return errNoMajority
		}
	}
}
