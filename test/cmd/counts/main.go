// Counts runs `go test -json` for a module, shows what a reader wants of its
// output, and keeps how many tests passed, were skipped and failed.
//
//	counts run NAME COMMAND...   runs the command; exits as it does
//	counts total                 prints a line for each module that has run
//
// The results of the runs are lines of JSON in the file that COUNTS names. Where
// CI or REDLOCK_TEST_REQUIRE is set, a run fails if it skips a test or has none.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	ok, err := command(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "counts:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: counts run NAME COMMAND... | counts total")

// command reports whether everything has passed.
func command(args []string, out io.Writer) (bool, error) {
	results := os.Getenv("COUNTS")
	switch {
	case results == "":
		return false, errors.New("COUNTS is not set: it names the file of the results")
	case len(args) >= 3 && args[0] == "run":
		strict := os.Getenv("CI") != "" || os.Getenv("REDLOCK_TEST_REQUIRE") != ""
		return run(args[1], args[2:], strict, results, out)
	case len(args) == 1 && args[0] == "total":
		return total(results, out)
	}
	return false, errUsage
}

// run runs the tests of the module called name. They have passed if the command
// says so and, where strict, nothing was skipped.
func run(name string, command []string, strict bool, results string, out io.Writer) (bool, error) {
	tests := exec.Command(command[0], command[1:]...)
	tests.Stderr = os.Stderr
	stream, err := tests.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := tests.Start(); err != nil {
		return false, err
	}
	c := newCounter(out)
	readErr := c.read(stream)
	exit := tests.Wait()
	c.explainSkips()

	r := c.result(name)
	if exit != nil && r.Failed == 0 {
		r.Failed = 1 // what failed is not a test: a vet error, a bad flag
	}
	if strict && r.Passed+r.Skipped+r.Failed == 0 {
		r.Failed = 1
		fmt.Fprintf(out, "%s: no test has run\n", name)
	}
	r.OK = exit == nil && r.Failed == 0 && (!strict || r.Skipped == 0)
	fmt.Fprintln(out, r)
	return r.OK, errors.Join(readErr, r.keep(results))
}
