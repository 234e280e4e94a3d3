package contract_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redlock-go/redlock/test/servers"
)

// readmeTested is what the README's table of compatibility names as tested.
func readmeTested(t *testing.T, what string) string {
	t.Helper()
	_, section, found := strings.Cut(repositoryFile(t, "README.md"), "\n## Compatibility\n")
	if !found {
		t.Fatal("the README has no section on compatibility")
	}
	for row := range strings.Lines(section) {
		if cells := strings.Split(row, "|"); len(cells) == 5 && strings.TrimSpace(cells[1]) == what {
			return strings.TrimSpace(cells[2])
		}
	}
	t.Fatalf("the table has no row for %s", what)
	return ""
}

func TestTheREADMENamesTheServersThatAreTestedAndNoOthers(t *testing.T) {
	var tested []string
	for _, kind := range servers.All() {
		name, version, _ := strings.Cut(kind.Name, "-")
		tested = append(tested, strings.ToUpper(name[:1])+name[1:]+" "+version)
	}
	named := strings.Split(readmeTested(t, "servers"), ", ")
	slices.Sort(tested)
	slices.Sort(named)
	if !slices.Equal(named, tested) {
		t.Errorf("it names %q, and tested are %q", named, tested)
	}
}

func TestTheREADMENamesTheVersionOfGoThatIsAskedForAndTested(t *testing.T) {
	named := readmeTested(t, "Go")
	if !strings.Contains(repositoryFile(t, "go.mod"), "\ngo "+named+".") {
		t.Errorf("go.mod asks for another one than %s", named)
	}
	if !strings.Contains(workflow(t), `go-version: "`+named+`"`) {
		t.Errorf("the workflow has another one than %s", named)
	}
}

func TestTheChangelogBeginsWithAVersionThatIsDatedAndLinked(t *testing.T) {
	changelog := repositoryFile(t, "CHANGELOG.md")
	first := regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$`).FindStringSubmatch(changelog)
	if first == nil {
		t.Fatal("it has no version")
	}
	if !strings.Contains(changelog, "\n["+first[1]+"]: https://github.com/redlock-go/redlock/") {
		t.Errorf("%s is not linked", first[1])
	}
}
