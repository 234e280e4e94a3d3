package integration

import (
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// A server that is stopped executes what its kernel has buffered when it goes on,
// also where the client has closed the connection meanwhile.
func TestAServerThatGoesOnAfterAPauseKeepsNoKey(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]time.Duration{
		"on a connection that lasts":        0,
		"on a connection that was given up": givenUp + 2*tardy,
	} {
		t.Run(name, func(t *testing.T) {
			rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
				m := q.New(t, redlock.Config{NodeTimeout: tardy})
				awaitNodes(t, m)
				before := []int{executed(t, q.Servers[0], "set"), executed(t, q.Servers[1], "set")}
				var resources []string
				for _, u := range unanswered {
					for _, s := range q.Servers[:u.nodes] {
						s.Pause(t)
					}
					resources = append(resources, q.Resource(t))
					u.call(t, m, resources[len(resources)-1])
				}
				time.Sleep(pause)
				for i, n := range before {
					q.Servers[i].Continue(t)
					awaitExecuted(t, q.Servers[i], "set", n)
				}
				time.Sleep(reaped)
				wantNoKeys(t, name, q.Servers, resources...)
			})
		})
	}
}
