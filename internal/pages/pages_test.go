package pages

import (
	"slices"
	"testing"
)

const sample = "# The first\n" +
	"\n" +
	"See [a guide](docs/a.md#b) and `code`.\n" +
	"\n" +
	"    make test\n" +
	"\n" +
	"    make lint\n" +
	"\n" +
	"```go\n" +
	"a := 1\n" +
	"\n" +
	"    b := 2\n" +
	"# no heading, [no link](nowhere)\n" +
	"```\n" +
	"* a list\n" +
	"  ```yaml\n" +
	"  ttl: 1s\n" +
	"  ```\n" +
	"~~~\n" +
	"| no | table |\n" +
	"~~~\n" +
	"\n" +
	"## What `it` does, and why\n" +
	"\n" +
	"| one | two |\n" +
	"| --- | --- |\n" +
	"| `a\\|b` | c |\n" +
	"| d | |\n" +
	"\n" +
	"| three |\n" +
	"| --- |\n" +
	"| e |\n" +
	"a sentence\n" +
	"    that goes on here\n"

func TestEveryBlockIsFoundWithItsLanguageAndItsPlace(t *testing.T) {
	want := []Block{
		{Page: "p", Line: 5, Language: Indented, Text: "make test\n\nmake lint"},
		{Page: "p", Line: 10, Language: "go", Text: "a := 1\n\nb := 2\n# no heading, [no link](nowhere)"},
		{Page: "p", Line: 17, Language: "yaml", Text: "ttl: 1s"},
		{Page: "p", Line: 20, Language: "", Text: "| no | table |"},
	}
	if got := (Page{Name: "p", Text: sample}).Blocks(); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestABlockThatIsNotClosedEndsWithItsPage(t *testing.T) {
	got := Page{Text: "```sh\nmake"}.Blocks()
	if len(got) != 1 || got[0].Text != "make" || got[0].Language != "sh" {
		t.Errorf("got %+v", got)
	}
}

func TestTablesAreFoundOutsideOfBlocksWithTheirCells(t *testing.T) {
	got := Page{Text: sample}.Tables()
	if len(got) != 2 {
		t.Fatalf("got %q", got)
	}
	if !slices.Equal(got[0].Head, []string{"one", "two"}) || !slices.Equal(got[1].Head, []string{"three"}) {
		t.Errorf("the heads are %q and %q", got[0].Head, got[1].Head)
	}
	rows := got[0].Rows
	if len(rows) != 2 || !slices.Equal(rows[0], []string{"`a|b`", "c"}) || !slices.Equal(rows[1], []string{"d", ""}) {
		t.Errorf("the first one's rows are %q", rows)
	}
	if len(got[1].Rows) != 1 {
		t.Errorf("the second one's rows are %q", got[1].Rows)
	}
}

func TestLinksSpansAndAnchorsAreThoseOutsideOfBlocks(t *testing.T) {
	p := Page{Text: sample}
	if got := p.Links(); !slices.Equal(got, []string{"docs/a.md#b"}) {
		t.Errorf("links: %q", got)
	}
	if got := p.Anchors(); !slices.Equal(got, []string{"the-first", "what-it-does-and-why"}) {
		t.Errorf("anchors: %q", got)
	}
	if got := Spans("a `b` and `c d`"); !slices.Equal(got, []string{"b", "c d"}) {
		t.Errorf("spans: %q", got)
	}
}

func TestThePagesOfThisRepositoryAreRead(t *testing.T) {
	all, err := Read("../..")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
	}
	if !slices.Contains(names, "README.md") || !slices.Contains(names, "docs/safety.md") {
		t.Errorf("read were %q", names)
	}
}
