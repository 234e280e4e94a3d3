package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stream writes events to a file and
// returns the command that prints it.
func stream(t *testing.T, events ...string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(path, []byte(strings.Join(events, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"cat", path}
}

const (
	passA    = `{"Action":"pass","Package":"p","Test":"TestA"}`
	failA    = `{"Action":"fail","Package":"p","Test":"TestA"}`
	passAOne = `{"Action":"pass","Package":"p","Test":"TestA/one"}`
	failAOne = `{"Action":"fail","Package":"p","Test":"TestA/one"}`
	skipB    = `{"Action":"skip","Package":"p","Test":"TestB"}`
	skipC    = `{"Action":"skip","Package":"p","Test":"TestC"}`
	passP    = `{"Action":"pass","Package":"p","Elapsed":1.5}`
	failP    = `{"Action":"fail","Package":"p","Elapsed":1.5}`
	emptyP   = `{"Action":"skip","Package":"p"}`
)

func counted(passed, skipped, failed int) string {
	return result{Module: "m", Passed: passed, Skipped: skipped, Failed: failed}.String()
}

func TestResultsAreCountedAndJudged(t *testing.T) {
	onePassed, oneFailed, none := counted(1, 0, 0), counted(0, 0, 1), counted(0, 0, 0)
	cases := []struct {
		name    string
		command []string
		strict  bool
		want    string
		ok      bool
	}{
		{"tests pass", stream(t, passA, passP), true, onePassed, true},
		{"a parent is no test of its own", stream(t, passAOne, passA, passP), true, onePassed, true},
		{"a failure fails", stream(t, failAOne, failA, failP), false, oneFailed, false},
		{"a parent may fail by itself", stream(t, passAOne, failA, failP), false, counted(1, 0, 1), false},
		{"a package may fail by itself", stream(t, passA, failP), false, counted(1, 0, 1), false},
		{"a skip is shown", stream(t, passA, skipB, passP), false, counted(1, 1, 0), true},
		{"a skip fails where strict", stream(t, passA, skipB, passP), true, counted(1, 1, 0), false},
		{"nothing at all is shown", stream(t, emptyP), false, none, true},
		{"nothing at all fails where strict", stream(t, emptyP), true, oneFailed, false},
		{"the exit status is not swallowed", []string{"false"}, false, oneFailed, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			results := filepath.Join(t.TempDir(), "results")
			var out strings.Builder
			ok, err := run("m", c.command, c.strict, results, &out)
			if err != nil || ok != c.ok || !strings.HasSuffix(out.String(), c.want+"\n") {
				t.Errorf("ok %t, %v, and the output\n%swant %s", ok, err, &out, c.want)
			}
			var sum strings.Builder
			if ok, err := total(results, &sum); ok != c.ok || err != nil || !strings.HasPrefix(sum.String(), c.want) {
				t.Errorf("in total: ok %t, %v, %s", ok, err, &sum)
			}
		})
	}
}

func TestOutputIsShownOnceAndOnlyWhereItMatters(t *testing.T) {
	command := stream(t,
		`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN TestA\n"}`,
		`{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}`, passA,
		`{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:1: no server: none\n"}`, skipB,
		`{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:1: no server: none\n"}`, skipC,
		`{"Action":"output","Package":"p","Output":"from the test main\n"}`,
		`{"Action":"output","Package":"p","Output":"PASS\n"}`,
		`not an event`, passP)
	var out strings.Builder
	if _, err := run("m", command, false, filepath.Join(t.TempDir(), "results"), &out); err != nil {
		t.Fatal(err)
	}
	want := "from the test main\nnot an event\npass p 1.5s\n2 skipped: no server: none\n" + counted(1, 2, 0) + "\n"
	if out.String() != want {
		t.Errorf("the output is\n%s", &out)
	}
}

func TestATestThatEndsItsPackageIsShown(t *testing.T) {
	panics := `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: oh\n"}`
	command := stream(t, panics, failP)
	var out strings.Builder
	if _, err := run("m", command, false, filepath.Join(t.TempDir(), "results"), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "panic: oh\n") {
		t.Errorf("the output is\n%s", &out)
	}
}

func TestTheLastLineIsTheSum(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results")
	for _, r := range []result{{Module: "a", Passed: 2, OK: true}, {Module: "b", Passed: 3, Skipped: 1, Failed: 1}} {
		if err := r.keep(path); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	ok, err := total(path, &out)
	want := "a: 2 passed, 0 skipped, 0 failed\nb: 3 passed, 1 skipped, 1 failed\n5 passed, 1 failed\n"
	if ok || err != nil || out.String() != want {
		t.Errorf("ok %t, %v, and the output\n%s", ok, err, &out)
	}
}
