package integration

import (
	"errors"
	"testing"

	"github.com/redlock-go/redlock/test/servers"
)

// pools are the servers that tests share: five of each kind.
var pools = func() map[string]*servers.Pool {
	m := map[string]*servers.Pool{}
	for _, kind := range servers.All() {
		m[kind.Name] = servers.NewPool(kind, 5)
	}
	return m
}()

// shared are the five servers of a kind that the whole run shares.
func shared(t *testing.T, kind servers.Kind) []*servers.Server {
	t.Helper()
	servers.Need(t, kind)
	running, err := pools[kind.Name].Servers()
	if err != nil {
		t.Fatal(err)
	}
	return running
}

// onEachKind runs test as a subtest for each kind and keeps the outcome, for the
// summary and for the table of README.md. The kinds run side by side, after the
// function that calls it has returned.
func onEachKind(t *testing.T, test func(t *testing.T, kind servers.Kind)) {
	t.Helper()
	inTurn(t, func(t *testing.T, kind servers.Kind) {
		t.Parallel()
		test(t, kind)
	})
}

// inTurn is onEachKind for tests that would disturb each other: one kind runs
// after the other. Every test of a row goes through here.
func inTurn(t *testing.T, test func(t *testing.T, kind servers.Kind)) {
	t.Helper()
	row := t.Name()
	for _, kind := range servers.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Cleanup(func() { outcomes.add(row, kind, t) })
			servers.Need(t, kind)
			test(t, kind)
		})
	}
}

// rows runs a test on three shared servers of each kind.
func rows(t *testing.T, test func(t *testing.T, q *Quorum)) {
	t.Helper()
	rowsOn(t, 3, test)
}

// rowsOn is rows with another number of nodes, five at most.
func rowsOn(t *testing.T, n int, test func(t *testing.T, q *Quorum)) {
	t.Helper()
	onEachKind(t, func(t *testing.T, kind servers.Kind) {
		test(t, quorumOf(kind, shared(t, kind)[:n]))
	})
}

// rowsWith runs a test on n servers of each kind that are its own.
func rowsWith(t *testing.T, n int, options servers.Options, test func(t *testing.T, q *Quorum)) {
	t.Helper()
	onEachKind(t, func(t *testing.T, kind servers.Kind) {
		test(t, quorumOf(kind, servers.StartN(t, kind, n, options)))
	})
}

// rowsBehindSentinel runs a test on as many nodes as options has masters, each
// found through the same three Sentinels. Everything is the test's own.
func rowsBehindSentinel(
	t *testing.T, options servers.SentinelOptions, test func(t *testing.T, q *Quorum, s *servers.Sentinels),
) {
	t.Helper()
	onEachKind(t, func(t *testing.T, kind servers.Kind) {
		s := servers.StartSentinels(t, kind, options)
		test(t, quorumBehind(kind, s), s)
	})
}

// closePools stops what tests have shared.
func closePools() error {
	var errs []error
	for _, pool := range pools {
		errs = append(errs, pool.Close())
	}
	return errors.Join(errs...)
}
