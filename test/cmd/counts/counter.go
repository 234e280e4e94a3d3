package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of `go test -json`, see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build event
	Test       string
	Output     string
	Elapsed    float64
}

// test is one test or subtest.
type test struct {
	pkg, name string
}

// counter reads one stream of events.
type counter struct {
	out    io.Writer
	ended  map[test]string   // pass, skip or fail
	output map[test][]string // of tests that have not ended, and of packages
	parent map[test]bool     // tests that have subtests
	skips  map[string]int    // tests that were skipped, by their reason
	broken int               // packages that failed although no test did
}

func newCounter(out io.Writer) *counter {
	return &counter{
		out:    out,
		ended:  map[test]string{},
		output: map[test][]string{},
		parent: map[test]bool{},
		skips:  map[string]int{},
	}
}

func (c *counter) read(stream io.Reader) error {
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			c.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// line takes one event. What is no event is shown as it is.
func (c *counter) line(line string) {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil || e.Action == "" {
		fmt.Fprint(c.out, line)
		return
	}
	switch e.Action {
	case "build-output":
		fmt.Fprint(c.out, e.Output)
	case "output":
		c.keep(e)
	case "pass", "skip", "fail":
		if e.Test == "" {
			c.endPackage(e)
		} else {
			c.endTest(e)
		}
	}
}

func (c *counter) keep(e event) {
	t := test{e.Package, e.Test}
	if e.Test == "" && !noise(e.Output) {
		// What a test main prints is for everybody.
		fmt.Fprint(c.out, e.Output)
		return
	}
	c.output[t] = append(c.output[t], e.Output)
}

// noise is what go test prints around the tests of a package.
func noise(line string) bool {
	for _, prefix := range []string{"PASS", "FAIL", "ok  ", "?  ", "-test.shuffle", "testing: warning", "\t"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return strings.TrimSpace(line) == ""
}

func (c *counter) endTest(e event) {
	t := test{e.Package, e.Test}
	c.ended[t] = e.Action
	if i := strings.LastIndexByte(e.Test, '/'); i >= 0 {
		c.parent[test{e.Package, e.Test[:i]}] = true
	}
	switch e.Action {
	case "fail":
		fmt.Fprint(c.out, strings.Join(said(c.output[t]), ""))
	case "skip":
		c.skips[reason(c.output[t])]++
	}
	delete(c.output, t)
}

// said is what a test has printed, without the lines on when it ran.
func said(output []string) []string {
	return slices.DeleteFunc(output, func(line string) bool { return strings.HasPrefix(line, "=== ") })
}

// reason is what t.Skip was given: the first line, less the place in the source.
func reason(output []string) string {
	for _, line := range said(output) {
		if _, text, found := strings.Cut(line, ".go:"); found {
			_, text, _ = strings.Cut(text, ": ")
			return strings.TrimSpace(text)
		}
	}
	return "no reason given"
}

// explainSkips prints each reason once: a missing server skips a test of each row.
func (c *counter) explainSkips() {
	for _, why := range slices.Sorted(maps.Keys(c.skips)) {
		fmt.Fprintf(c.out, "%d skipped: %s\n", c.skips[why], why)
	}
}

func (c *counter) endPackage(e event) {
	failed := 0
	for t, action := range c.ended {
		if t.pkg == e.Package && action == "fail" {
			failed++
		}
	}
	if e.Action == "fail" {
		fmt.Fprint(c.out, strings.Join(c.output[test{pkg: e.Package}], "")) // the seed of -shuffle is in it
	}
	if e.Action == "fail" && failed == 0 {
		c.broken++
		c.unfinished(e.Package)
	}
	if e.Action != "skip" { // a package without tests is of no interest
		fmt.Fprintf(c.out, "%-4s %s %.1fs\n", e.Action, e.Package, e.Elapsed)
	}
}

// unfinished shows the output of tests that were running when their package
// ended: one of them has caused it.
func (c *counter) unfinished(pkg string) {
	for t, lines := range c.output {
		if t.pkg == pkg && t.name != "" {
			fmt.Fprint(c.out, strings.Join(lines, ""))
		}
	}
}

// result counts the tests without subtests. A test with subtests counts only if
// it failed and none of them did.
func (c *counter) result(name string) result {
	failedBelow := map[test]bool{}
	for t, action := range c.ended {
		if action != "fail" {
			continue
		}
		for i := range len(t.name) {
			if t.name[i] == '/' {
				failedBelow[test{t.pkg, t.name[:i]}] = true
			}
		}
	}
	r := result{Module: name, Failed: c.broken}
	for t, action := range c.ended {
		switch {
		case action == "fail" && !failedBelow[t]:
			r.Failed++
		case c.parent[t]:
		case action == "pass":
			r.Passed++
		case action == "skip":
			r.Skipped++
		}
	}
	return r
}
