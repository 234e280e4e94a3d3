// Package redlock is a distributed lock on a majority of independent Redis
// nodes, after the Redlock specification.
//
//	m, err := redlock.Open("redis://10.0.0.1", "redis://10.0.0.2", "redis://10.0.0.3")
//	...
//	err = m.Do(ctx, "invoice:42", func(ctx context.Context, lock *redlock.Lock) error {
//		return send(ctx, 42) // ctx ends if the lock is lost
//	})
//
// [Open] and [New] make a [Manager], which [Manager.Close] ends. [Manager.Do]
// takes a lock, renews it and gives it back; [Manager.TryLock] takes it if it is
// free, [Manager.Lock] waits for its holder. [Lock.Extend] keeps it,
// [Lock.Unlock] gives it back, [Lock.Valid] says whether it may be trusted, and
// [Lock.Done] is closed when that ends.
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
// # Errors
//
// Match them with [errors.Is]. What each one means, and what to do:
//
//   - [ErrTaken]: somebody else has it, or contenders have split the votes. Try
//     later, or leave it to them.
//   - [ErrAlreadyHeld]: it is held under the very token that [WithToken] gave.
//     You have it, or an earlier run of you: [Manager.Resume] goes on with it.
//   - [ErrNoQuorum]: too few nodes could say, and it is not known who has it. Look
//     at the nodes: the error names those that failed, and why.
//   - [ErrExpired]: its time was over before it was extended or unlocked. Stop;
//     choose a longer TTL, or [Manager.Do], which renews.
//   - [ErrLost]: a majority of the nodes does not keep it any more. Stop; somebody
//     deleted it, or nodes have lost their data.
//   - [ErrReleased]: it was unlocked before, or its manager closed. Nothing is to
//     be done.
//   - [ErrNotHeld]: any of the last three; of Resume, that a majority does not
//     keep the lock under the token.
//   - [ErrNoExpiry]: a lock [WithNoExpiry] cannot be extended. It need not be.
//   - [ErrClosed]: the manager is closed. Make one for the whole process.
//
// With [errors.As], a [*QuorumError] tells the counts of the votes, a
// [*NodeError] what happened at a node, and a [*ConfigError] which setting or
// argument is wrong.
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
