package check

import (
	"testing"

	"github.com/redlock-go/redlock/test/bench"
)

// TestMain makes this program the processes of a contest, too.
func TestMain(m *testing.M) {
	bench.WorkIfTold()
	m.Run()
}
