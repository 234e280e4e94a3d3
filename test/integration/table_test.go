package integration

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The table of README.md maps what is promised to the tests that show it. Here it
// is read and held against the list of rows and the tests that there are;
// main_test.go holds it against what has passed.

// tableHeading is what the table stands below, up to the next heading of its
// level. Smaller headings may divide it.
const tableHeading = "## The rows"

// rowList are the rows that need a test.
var rowList = slices.Concat(
	numbered("C", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
	numbered("L", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
	numbered("H", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
	numbered("R", 1, 2, 3, 4, 5, 6),
	numbered("E", 1, 2, 3, 4, 5),
	prefixed("Edges: ", "Votes", "Giving up", "Given tokens", "IsLocked", "Unlock", "Do", "Close", "Numbers",
		"ForceUnlock", "Inspect", "Resume", "Fence", "Configuration"),
	prefixed("Defect: ", defects...),
	prefixed("Fault: ", faults...),
	[]string{"Credentials"},
)

// defects of other libraries, in the order in which they were found.
var defects = []string{
	"valid after expiry",
	"silent failure of unlock or renewal",
	"nothing released between failed attempts",
	"extend after expiry re-creates the key",
	"waiter never notices the holder's key expiring",
	"wait of 5 s for a timeout of 1 s",
	"TTL truncated to 0 deletes the key",
	"empty token can extend",
	"renewal gives up on its first error",
	"lost reply makes its own lock seem somebody else's",
	"data race between extending and reading the validity",
}

// freeRows begin rows that no list holds.
var freeRows = []string{"Bad input: ", "Redsync: "}

func numbered(letter string, numbers ...int) []string {
	names := make([]string, len(numbers))
	for i, n := range numbers {
		names[i] = fmt.Sprintf("%s%d", letter, n)
	}
	return names
}

func prefixed(prefix string, names ...string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = prefix + name
	}
	return all
}

// tableLine is one line of the table.
type tableLine struct {
	line                 int
	row, guarantee, test string
}

// readTable reads the table in text. What is no line of a table is returned as
// problems.
func readTable(text string) (table []tableLine, problems []string) {
	inside := false
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "## "):
			inside = line == tableHeading
			continue
		case !inside || !strings.HasPrefix(line, "|") || isHead(line):
			continue
		}
		m, problem := readLine(line)
		if m.line = i + 1; problem != "" {
			problems = append(problems, fmt.Sprintf("line %d: %s: %s", m.line, problem, line))
			continue
		}
		table = append(table, m)
	}
	if len(table) == 0 && len(problems) == 0 {
		problems = append(problems, fmt.Sprintf("there is no table below %q", tableHeading))
	}
	return table, problems
}

// isHead reports whether line is the head of a table, or the dashes below it.
func isHead(line string) bool {
	return strings.HasPrefix(line, "| row |") || strings.Trim(line, "|-: ") == "" && strings.Contains(line, "---")
}

func readLine(line string) (m tableLine, problem string) {
	cells := strings.Split(strings.TrimPrefix(line, "|"), "|")
	if len(cells) != 4 || cells[3] != "" {
		return m, "not three cells between bars"
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	m = tableLine{row: cells[0], guarantee: cells[1], test: cells[2]}
	switch {
	case m.row == "" || m.guarantee == "":
		return m, "an empty cell"
	case !slices.Contains(rowList, m.row) && !isFree(m.row):
		return m, fmt.Sprintf("no row is called %q", m.row)
	case !strings.HasPrefix(m.test, "Test") || strings.ContainsAny(m.test, " `"):
		return m, "not one test"
	}
	return m, ""
}

func isFree(row string) bool {
	return slices.ContainsFunc(freeRows, func(prefix string) bool {
		return strings.HasPrefix(row, prefix) && row != prefix
	})
}

// missingRows are those of rows that the table has no test for.
func missingRows(rows []string, table []tableLine) (missing []string) {
	for _, row := range rows {
		if !slices.ContainsFunc(table, func(m tableLine) bool { return m.row == row }) {
			missing = append(missing, row)
		}
	}
	return missing
}

// unknownTests are the lines of the table whose test, or its parent for a subtest,
// is not among tests.
func unknownTests(table []tableLine, tests map[string]bool) (unknown []string) {
	for _, m := range table {
		if parent, _, _ := strings.Cut(m.test, "/"); !tests[parent] {
			unknown = append(unknown, fmt.Sprintf("line %d: there is no test %s", m.line, parent))
		}
	}
	return unknown
}

// testsIn are the top-level tests in the files that the pattern names.
func testsIn(pattern string) (map[string]bool, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	tests := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests[f.Name.Name] = true
			}
		}
	}
	return tests, nil
}

// unprovenRows are the tests of the table in README.md that did not pass on each
// of kinds in this run, as one error.
func unprovenRows(outcomes *ledger, kinds []string) error {
	text, err := os.ReadFile("README.md")
	if err != nil {
		return err
	}
	table, _ := readTable(string(text))
	var problems []error
	for _, test := range mappedTests(table) {
		for _, kind := range kinds {
			if problem := outcomes.unproven(test, kind); problem != "" {
				problems = append(problems, fmt.Errorf("README.md: %s %s on %s", test, problem, kind))
			}
		}
	}
	return errors.Join(problems...)
}

// mappedTests are the tests of the table, each once, in the order of their names.
func mappedTests(table []tableLine) []string {
	tests := map[string]bool{}
	for _, m := range table {
		tests[m.test] = true
	}
	return slices.Sorted(maps.Keys(tests))
}

func theTable(t *testing.T) (table []tableLine, problems []string) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return readTable(string(text))
}

func TestEveryRowHasATest(t *testing.T) {
	table, _ := theTable(t)
	for _, row := range missingRows(rowList, table) {
		t.Errorf("the table of README.md has no test for %s", row)
	}
}

func TestEveryLineOfTheTableIsWellFormedAndNamesATestThatExists(t *testing.T) {
	table, problems := theTable(t)
	tests, err := testsIn("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range append(problems, unknownTests(table, tests)...) {
		t.Errorf("README.md, %s", problem)
	}
}
