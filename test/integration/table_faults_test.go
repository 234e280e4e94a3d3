package integration

import (
	"maps"
	"slices"
	"testing"
)

// faults are the catalogue: what the library is tested with on real servers.
var faults = []string{
	// A node goes away.
	"kill -9 and restart with data", "kill -9 and restart empty", "SIGSTOP, then SIGCONT", "everything down, then up",

	// The network.
	"blackhole", "slow nodes", "half-open connection", "half-dead pool", "idle close (timeout 1)", "idle minute",
	"CLIENT KILL on every connection", "truncated handshake",
	"reset in mid-reply, truncated at every byte, garbage, one-way loss",
	"reset in mid-reply, connection cut or stalled between SET and DEL",
	"duplicated request", "duplicated reply",
	"delayed SET", "delayed DEL of an older attempt", "delayed shorter EXTEND",
	"DNS failure", "several A records",
	"TLS, wrong authority, expired, wrong name", "TLS, no client certificate or a wrong one",
	"TLS, plain server", "TLS, plain client of a TLS server",

	// What a server answers.
	"LOADING", "READONLY", "MASTERDOWN", "OOM", "NOSCRIPT", "NOAUTH", "WRONGPASS", "NOPERM for a command",
	"NOPERM for a key", "NOPERM inside a script", "renamed EVAL", "MISCONF", "BUSY", "NOREPLICAS", "CLUSTERDOWN, MOVED",
	"max clients", "writable replica", "two nodes that are one server",

	// What a server keeps.
	"eviction", "FLUSHALL", "SCRIPT FLUSH", "wrong type at the key", "foreign value without TTL",

	// Clocks, and the client.
	"clock step of a node, forward", "clock step of a node, back",
	"client paused past the TTL", "holder restarted and resumed", "fd exhaustion",
	"ctx cancelled after the k-th message, for every k", "Unlock racing Extend", "double Unlock", "use after Close",

	// Sentinel and replicas.
	"Sentinel failover", "Sentinel, all down", "Sentinel, unknown master name", "Sentinel, stale answer",
	"split brain", "replica silent (Replicas: 1)",
	"lost message to a waiter", "healing of a key that was lost", "renewal that is blocked",
}

// faultsInFakeTime are those that are shown on nodes in memory alone, each with
// its tests in package redlock.
var faultsInFakeTime = map[string][]string{
	// A process cannot be given a clock of its own: a Go program reads it
	// without a call that could be replaced, and the machine's is everyone's. A
	// machine that is suspended looks the same, and cannot be had in a test at
	// all.
	"clock step of the client": {
		"TestALockIsOverWhenEitherClockSaysSo",
		"TestALockIsOverAsSoonAsOneOfItsTwoClocksHasPassedItsEnd",
	},
}

// faultsToCome are those that only what is not built yet can meet. Who builds
// it moves them into faults.
var faultsToCome = []string{
	"two holders after lost data",             // RestartGuard
	"fence out of order after a lost counter", // WithFence
}

func TestEachFaultIsInOneList(t *testing.T) {
	all := slices.Concat(faults, slices.Collect(maps.Keys(faultsInFakeTime)), faultsToCome)
	slices.Sort(all)
	if once := slices.Compact(slices.Clone(all)); len(once) != len(all) {
		t.Errorf("of %d faults %d are different", len(all), len(once))
	}
}

func TestFaultsThatAreShownInFakeTimeHaveTheTestsThatAreNamed(t *testing.T) {
	tests, err := testsIn("../../redlock/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for fault, names := range faultsInFakeTime {
		if len(names) == 0 {
			t.Errorf("%s has no test", fault)
		}
		for _, name := range names {
			if !tests[name] {
				t.Errorf("%s: package redlock has no %s", fault, name)
			}
		}
	}
}
