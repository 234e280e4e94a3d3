// Package redlock is a distributed lock on a majority of independent Redis
// nodes, after the Redlock specification.
//
//	m, err := redlock.Open("redis://10.0.0.1", "redis://10.0.0.2", "redis://10.0.0.3")
//	...
//	err = m.Do(ctx, "invoice:42", func(ctx context.Context, lock *redlock.Lock) error {
//		return send(ctx, 42) // ctx ends if the lock is lost
//	})
//
// # How a vote is decided
//
// A [Manager] asks all nodes at once, and returns as soon as the votes decide.
// A lock is held when more than half of the configured nodes have granted it,
// before the end of its validity. A node that is down or slow costs its vote
// and nothing else. "Someone else has it" is [ErrTaken]; "too few nodes could
// decide" is [ErrNoQuorum].
//
// # How long a lock can be trusted
//
// The holder knows it without asking anybody:
//
//	until = start + ttl - (DriftFactor*ttl + 2ms) - Margin
//
// start is read before the first request leaves. Until then no node can give
// the key away, as long as no node's clock runs fast by more than DriftFactor.
// From then on [Lock.Valid] is false and [Lock.Done] is closed, by a local
// timer that needs no network.
//
// # What is not promised
//
// A process that is stopped between checking the lock and acting on it can act
// after the end of the lock: no lock with a timeout can prevent that. A node
// that loses its data while it is down can give a held lock away, and so can a
// failover of a Sentinel-managed master whose replica lags behind (see
// [Node.Replicas]).
//
// # How it works
//
// Each node has one connection, on which the commands of all callers go out in
// order and many in one write. A failed attempt is released on every node that
// may have executed it, behind the acquire on the same connection; what stays
// unconfirmed is asked again until it is known to be gone.
//
// Callers of one manager that wait for the same lock stand in line, and only the
// head of it asks the nodes. Refused, it listens on each node for releases, and
// asks again when a majority may be free: nodes that granted its last question,
// that have published a release since, or that it has only now begun to listen
// to. Polling remains the fallback: a timer stands behind every wait, for the
// end of the holder's TTL and for messages that are lost.
//
// One goroutine renews all locks of a manager. A renewal that fails is repeated
// soon, until the lock ends. Once a majority has confirmed a lock, nodes that
// lack its key are given it again: restarts of single nodes do not add up.
package redlock
