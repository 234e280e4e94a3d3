// Package otelredlock measures and traces what a manager of locks does, with
// OpenTelemetry:
//
//	hooks, err := otelredlock.Hooks()
//	...
//	m, err := redlock.New(cfg, redlock.WithHooks(hooks))
//
// # Metrics
//
// Durations are histograms in seconds, from 0.1 ms to 60 s.
//
//	redlock.acquire.duration   of each Lock, TryLock, Do or Resume, waiting included
//	redlock.wait.duration      of those that were not served at their first question
//	redlock.extend.duration    of each Extend or ExtendBy
//	redlock.renewal.duration   of each automatic renewal; its count is theirs
//	redlock.release.duration   of each Unlock that ends a lock, and of that of Do
//	redlock.hold.duration      of each lock, when it is over
//	redlock.lock.held          locks that are held now
//	redlock.lock.losses        locks that were over before they were given back
//	redlock.node.status        1 for the state that a node is in, 0 for the other
//	redlock.node.transitions   how often a node has come into a state, the first included
//
// A lock counts as held from when its call returns until it is given back or
// lost, and is counted out once. One that a majority does not keep any more when
// it is unlocked is a loss too. Both series of losses are there from the first
// lock on, at 0: else Prometheus would not see the first loss as an increase.
//
// A node has two attributes, redlock.node.name, as in errors and in the log, and
// redlock.node.state, which is up or down. It has no status before it is first
// asked, and keeps the last one when the manager closes. The name of a resource
// is never an attribute of a metric: there can be any number of them.
//
// # error.type
//
// What ended without success has the attribute error.type, on metrics and spans
// alike. Of a hold it says how the lock was lost. It is the verdict of the votes
// where there is one, whether or not the ctx of the call had ended too:
//
//	taken, already_held               somebody has the lock
//	no_quorum                         too few nodes could say
//	expired, lost, released           the lock was over
//	not_held                          there was none to resume
//	deadline_exceeded, canceled       the ctx had ended
//	closed                            the manager was closed meanwhile
//	config                            an option does not go with what was found
//	_OTHER                            anything else
//
// # Spans
//
// "redlock acquire", "redlock extend" and "redlock release" are spans of kind
// Client, one for each value of the duration of that name. They are made when the
// call has returned, with the time that it took, as children of the span in its
// ctx. Their attribute redlock.resource names what was to be locked.
//
// Their status is Error, described by the text of the error, but where error.type
// is taken, already_held or released. These are answers: that somebody has the
// lock is what TryLock asks for, and who extends a lock that this process has
// given back has nothing to mend. No part of the system has failed then.
//
// # Grafana
//
// The file dashboard.json beside this package is a dashboard of these metrics by
// the names that they have in Prometheus.
package otelredlock
