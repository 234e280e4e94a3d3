package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What is wrong with a table must be seen: these tests are about made-up ones.

func TestTheTableIsReadFromBelowItsHeading(t *testing.T) {
	table, problems := readTable(strings.Join([]string{
		"# Title",
		"| not | the | table |",
		"## The rows",
		"### Taking",
		"| row | guarantee | test |",
		"| --- | --- | --- |",
		"| L1 | others are refused | TestA |",
		"",
		"### Others",
		"| row | guarantee | test |",
		"|:---|---|---:|",
		"| Bad input: a port | it is named | TestB/one_of_three |",
		"## Something else",
		"| L2 | not | TestC |",
	}, "\n"))
	if len(problems) != 0 {
		t.Errorf("there are problems: %q", problems)
	}
	want := []tableLine{
		{7, "L1", "others are refused", "TestA"},
		{12, "Bad input: a port", "it is named", "TestB/one_of_three"},
	}
	if !slices.Equal(table, want) {
		t.Errorf("got %+v", table)
	}
}

func TestAMalformedLineIsAProblem(t *testing.T) {
	for _, line := range []string{
		"| L1 | others are refused |",
		"| L1 | others are refused | TestA | more |",
		"| L1 | others are refused | TestA",
		"| L1 | a or b | c | TestA |",
		"| | others are refused | TestA |",
		"| L1 | | TestA |",
		"| L1 | others are refused | |",
		"| L1 | others are refused | BenchmarkA |",
		"| L1 | others are refused | `TestA` |",
		"| L1 | others are refused | TestA, TestB |",
		"| L13 | a row that is not in the list | TestA |",
		"| Edges: Votse | misspelt | TestA |",
		"| Defect: something | not in the list | TestA |",
		"| Fault: something | not in the list | TestA |",
		"| Bad input: | which | TestA |",
	} {
		table, problems := readTable(tableHeading + "\n" + line)
		if len(table) != 0 || len(problems) != 1 || !strings.HasPrefix(problems[0], "line 2: ") {
			t.Errorf("%s: got %+v, %q", line, table, problems)
		}
	}
}

func TestATableThatIsNotThereIsAProblem(t *testing.T) {
	for _, text := range []string{"", "## Others\n| L1 | others are refused | TestA |", tableHeading} {
		if _, problems := readTable(text); len(problems) != 1 {
			t.Errorf("%q: got %q", text, problems)
		}
	}
}

func TestRowsWithoutATestAreFoundInTheirOrder(t *testing.T) {
	table := []tableLine{{row: "L2"}, {row: "L2"}, {row: "Fault: other"}}
	if got := missingRows([]string{"L3", "L2", "L1"}, table); !slices.Equal(got, []string{"L3", "L1"}) {
		t.Errorf("got %q", got)
	}
}

func TestTheListHasEveryRowOnce(t *testing.T) {
	if n := len(defects); n != 11 {
		t.Errorf("there are %d defects", n)
	}
	sorted := slices.Sorted(slices.Values(rowList))
	if once := slices.Compact(slices.Clone(sorted)); len(once) != len(sorted) || len(once) != 73+len(faults) {
		t.Errorf("%d rows, %d of them different", len(sorted), len(once))
	}
}

func TestATestThatDoesNotExistIsFound(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a_test.go")
	source := "package a\n// func TestInAComment() {}\nfunc TestA() {}\nfunc (x T) TestMethod() {}\nfunc helper() {}\n"
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	tests, err := testsIn(filepath.Join(filepath.Dir(file), "*_test.go"))
	if err != nil || len(tests) != 1 || !tests["TestA"] {
		t.Fatalf("got %v, %v", tests, err)
	}
	table := []tableLine{{line: 1, test: "TestA"}, {line: 2, test: "TestA/part"}, {line: 3, test: "TestB"},
		{line: 4, test: "TestMethod"}, {line: 5, test: "TestInAComment/part"}}
	got := unknownTests(table, tests)
	want := []string{"line 3: there is no test TestB", "line 4: there is no test TestMethod",
		"line 5: there is no test TestInAComment"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestATestIsProvenWhereItAndItsPartsHavePassed(t *testing.T) {
	made := &ledger{kept: map[string]map[string]outcome{"a": {
		"TestPassed":       passed,
		"TestFailed":       failed,
		"TestSkipped":      skipped,
		"TestParts/good":   passed,
		"TestParts/bad":    failed,
		"TestWhole/one":    passed,
		"TestWhole/two":    passed,
		"TestWholeAndMore": failed,
	}}}
	for _, c := range []struct{ test, kind, want string }{
		{"TestPassed", "a", ""},
		{"TestFailed", "a", "failed"},
		{"TestSkipped", "a", "was skipped"},
		{"TestParts", "a", "failed"},
		{"TestParts/good", "a", ""},
		{"TestParts/bad", "a", "failed"},
		{"TestParts/ugly", "a", "did not run"},
		{"TestWhole", "a", ""},
		{"TestOther", "a", "did not run"},
		{"TestPassed", "b", "did not run"},
	} {
		if got := made.unproven(c.test, c.kind); got != c.want {
			t.Errorf("%s on %s: got %q, want %q", c.test, c.kind, got, c.want)
		}
	}
}
