// Package redlocktest runs a quorum of Redis nodes in memory, for tests of code
// that takes locks, and for trying things out:
//
//	func TestInvoiceIsSentOnce(t *testing.T) {
//		q := redlocktest.New(t, 5)
//		service := NewService(q.Manager)
//		...
//	}
//
// The nodes speak the protocol of Redis and run the library's scripts. Nothing
// leaves the process: a connection is one in memory, which the Dialer of each
// [redlock.Node] opens. Everything ends with the test. Each call of [New] makes
// nodes of its own, so tests can run in parallel. A whole test, with the service
// that it tests, is in example_service_test.go beside this file.
//
// # Faults
//
// A service shows what it does without its lock when something happens to the
// nodes while it works:
//
//   - [Quorum.StopNode] on a majority: nothing can be renewed, and the lock ends
//     with [redlock.ErrExpired] when its time is over. Calls fail at once, with
//     [redlock.ErrNoQuorum].
//   - [Quorum.PauseNode] on a majority: the same, but no node answers, and a
//     call lasts as long as its NodeTimeout.
//   - [Quorum.Advance] by the TTL: the nodes forget the lock. The next renewal or
//     Extend ends it with [redlock.ErrLost]; until then somebody else may take it,
//     and there are two holders.
//
// A minority that is stopped or paused takes no lock away, and no time.
//
// # Time
//
// Keys expire as time passes. In a [testing/synctest] bubble that is the
// bubble's time, which jumps ahead where everybody waits: a minute takes
// milliseconds. Call New inside of the bubble, and close the managers that you
// have made yourself before it ends.
//
// Outside of a bubble time is real: whoever holds a renewed lock hears of its
// loss after a third of the TTL or less.
package redlocktest
