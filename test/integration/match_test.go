package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redlock-go/redlock/redlock"
)

// What most tests begin with and what they want of an error.

// mustTry takes the lock or ends the test.
func mustTry(t testing.TB, m *redlock.Manager, resource string, opts ...redlock.LockOption) *redlock.Lock {
	t.Helper()
	lock, err := m.TryLock(t.Context(), resource, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

// mustUnlock gives the lock back or fails the test.
func mustUnlock(t testing.TB, lock *redlock.Lock) {
	t.Helper()
	if err := lock.Unlock(t.Context()); err != nil {
		t.Errorf("unlocking: %v", err)
	}
}

// connected makes m connect to all its nodes, so that what follows costs one
// round trip.
func connected(t testing.TB, m *redlock.Manager) *redlock.Manager {
	t.Helper()
	if err := m.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

// wantMatch fails unless err matches all of targets.
func wantMatch(t testing.TB, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("got %v, want it to match %v", err, target)
		}
	}
}

// wantNoMatch fails if err matches one of targets.
func wantNoMatch(t testing.TB, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if errors.Is(err, target) {
			t.Errorf("got %v, which must not match %v", err, target)
		}
	}
}

// wantConfigError fails unless err is a bad setting or argument called field.
func wantConfigError(t testing.TB, err error, field string) {
	t.Helper()
	var config *redlock.ConfigError
	if !errors.As(err, &config) || config.Field != field || !strings.Contains(err.Error(), field) {
		t.Errorf("got %v, want a ConfigError about %s", err, field)
	}
}

// wantLocked fails unless m says of the resource whether it is locked, as want does.
func wantLocked(t testing.TB, m *redlock.Manager, resource string, want bool) {
	t.Helper()
	if err := checkLocked(m, resource, want); err != nil {
		t.Error(err)
	}
}

// checkLocked is wantLocked where the caller judges the error.
func checkLocked(m *redlock.Manager, resource string, want bool) error {
	locked, err := m.IsLocked(context.Background(), resource)
	if err == nil && locked != want {
		return fmt.Errorf("IsLocked is %v, want %v", locked, want)
	}
	return err
}
