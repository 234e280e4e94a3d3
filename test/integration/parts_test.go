package integration

import (
	"strings"
	"testing"
)

// part runs f as a subtest of a row's test on one kind of server, and keeps the
// outcome under the row's name and its own: the table of README.md can name it as
// it names other subtests.
func (q *Quorum) part(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		row := strings.Replace(t.Name(), "/"+q.Kind.Name, "", 1)
		t.Cleanup(func() { outcomes.add(row, q.Kind, t) })
		f(t)
	})
}

func TestAPartOfATestIsKeptUnderItsOwnName(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		row := strings.TrimSuffix(t.Name(), "/"+q.Kind.Name)
		q.part(t, "one of two", func(t *testing.T) {
			if problem := outcomes.unproven(row+"/one_of_two", q.Kind.Name); problem != "did not run" {
				t.Errorf("before it has ended it counts as %q", problem)
			}
		})
		if problem := outcomes.unproven(row+"/one_of_two", q.Kind.Name); problem != "" {
			t.Errorf("the part %s", problem)
		}
		if problem := outcomes.unproven(row+"/another", q.Kind.Name); problem != "did not run" {
			t.Errorf("a part that there is not %s", problem)
		}
	})
}
