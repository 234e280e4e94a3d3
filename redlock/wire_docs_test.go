package redlock

import (
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redlock-go/redlock/internal/pages"
)

// What docs/wire.md says is held to testdata/wire.golden, and that to the code.

func TestTheGuideToTheWireNamesEveryCommandThatIsSentAndNoOther(t *testing.T) {
	t.Parallel()
	var named []string
	for _, row := range wireTable(t, "command") {
		named = append(named, pages.Spans(row[0])...)
	}
	var sent []string
	for _, line := range sentLines(wireFile(t)) {
		words := strings.Fields(line)
		if slices.Contains([]string{"CLIENT", "SCRIPT", "SENTINEL"}, words[0]) {
			words[0] += " " + strings.ToUpper(words[1])
		}
		sent = append(sent, words[0])
	}
	sameNames(t, "commands", named, sent)
}

func TestTheGuideToTheWireShowsOnlyWhatIsSent(t *testing.T) {
	t.Parallel()
	sent := sentLines(wireFile(t))
	shown := 0
	for _, page := range readPages(t) {
		for _, block := range page.Blocks() {
			if block.Language != "wire" {
				continue
			}
			for line := range strings.Lines(block.Text) {
				shown++
				if line = strings.TrimSpace(line); !slices.Contains(sent, line) {
					t.Errorf("%s: %s has not %q", page.Name, wireGolden, line)
				}
			}
		}
	}
	if shown == 0 {
		t.Error("it shows nothing")
	}
}

func TestTheGuideToTheWireNamesEveryScriptWithItsArguments(t *testing.T) {
	t.Parallel()
	var named, kept []string
	for _, row := range wireTable(t, "script") {
		named = append(named, strings.Join(pages.Spans(row[0]+row[1]), " "))
	}
	files, err := filepath.Glob("../internal/scripts/*.lua")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		script, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		arguments := regexp.MustCompile(`(?m)^-- ((?:KEYS|ARGV)\[\d\])`).FindAllStringSubmatch(string(script), -1)
		words := []string{filepath.Base(name)}
		for _, argument := range arguments {
			words = append(words, argument[1])
		}
		kept = append(kept, strings.Join(words, " "))
	}
	sameNames(t, "scripts", named, kept)
}

func TestTheGuideToTheWireSaysWhatTokensKeysAndChannelsLookLike(t *testing.T) {
	t.Parallel()
	m, err := New(wireConfig)
	if err != nil {
		t.Fatal(err)
	}
	key, err := m.key("report")
	if err != nil {
		t.Fatal(err)
	}
	token := m.freshToken()
	if _, made := ownerOf(token); !made {
		t.Errorf("%q is no token of a manager", token)
	}
	text := wirePage(t).Text
	for _, want := range []string{
		"`" + strings.Replace(token, token[:randomLength], "<random>", 1) + "`",
		"`" + key + "`",
		"`" + m.nodes[0].channel(key) + "`",
		"`" + m.nodes[0].channel("") + "`",
		fmt.Sprintf("%d lower-case hexadecimal digits", randomLength),
		fmt.Sprintf("at most %d bytes", maxToken),
		fmt.Sprintf("at most %d bytes", maxOwner),
		fmt.Sprintf("less than %d bytes", maxValue),
		"`" + reservedKeys + "`",
	} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("it does not say %s", want)
		}
	}
}

// A change of the golden file is a change for every program that shares the
// nodes: it has a row in docs/wire.md, and all but the first an entry in the
// changelog.
func TestTheWireIsTheLastOneInTheGuideAndEachChangeIsInTheChangelog(t *testing.T) {
	t.Parallel()
	changelog, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := wireTable(t, "wire")
	digest := fmt.Sprintf("%x", sha1.Sum([]byte(wireFile(t))))[:8]
	if last := rows[len(rows)-1]; last[0] != "`"+digest+"`" {
		t.Errorf("the last row is of wire %s; the golden file is wire `%s`", last[0], digest)
	}
	for _, digest := range unannounced(rows, string(changelog)) {
		t.Errorf("CHANGELOG.md has no entry that begins with **Breaking** and names wire %s", digest)
	}
}

var breaking = regexp.MustCompile(`(?m)^- \*\*Breaking\*\*.*(\n +.*)*`)

// unannounced are the wires after the first one that the changelog does not tell
// of.
func unannounced(rows [][]string, changelog string) []string {
	announced := strings.Join(breaking.FindAllString(changelog, -1), "\n")
	var missing []string
	for _, row := range rows[1:] {
		if !strings.Contains(announced, row[0]) {
			missing = append(missing, row[0])
		}
	}
	return missing
}

func TestAWireThatTheChangelogDoesNotTellOfIsFound(t *testing.T) {
	t.Parallel()
	rows := [][]string{{"`a`"}, {"`b`"}, {"`c`"}, {"`d`"}}
	changelog := "- **Breaking**: a channel\n  has another name (wire `b`).\n- Something else.\n\n" +
		"- Nothing breaks with `c`.\n- **Breaking**: not this.\n- Of `d`.\n"
	if got := unannounced(rows, changelog); !slices.Equal(got, []string{"`c`", "`d`"}) {
		t.Errorf("got %q", got)
	}
}

func sameNames(t *testing.T, what string, named, real []string) {
	t.Helper()
	slices.Sort(named)
	slices.Sort(real)
	if named, real = slices.Compact(named), slices.Compact(real); !slices.Equal(named, real) {
		t.Errorf("the guide names the %s\n%q, there are\n%q", what, named, real)
	}
}

func readPages(t *testing.T) []pages.Page {
	t.Helper()
	all, err := pages.Read("..")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wirePage(t *testing.T) pages.Page {
	t.Helper()
	all := readPages(t)
	return all[slices.IndexFunc(all, func(p pages.Page) bool { return p.Name == "docs/wire.md" })]
}

// wireTable are the rows of the table in docs/wire.md whose first column is
// called head.
func wireTable(t *testing.T, head string) [][]string {
	t.Helper()
	for _, table := range wirePage(t).Tables() {
		if table.Head[0] == head && len(table.Rows) > 0 {
			return table.Rows
		}
	}
	t.Fatalf("docs/wire.md has no table of each %s", head)
	return nil
}

func wireFile(t *testing.T) string {
	t.Helper()
	golden, err := os.ReadFile(wireGolden)
	if err != nil {
		t.Fatal(err)
	}
	return string(golden)
}

// sentLines are the commands of the golden file.
func sentLines(golden string) []string {
	commands, _, _ := strings.Cut(golden, "\n# the script ")
	var lines []string
	for line := range strings.Lines(commands) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}
