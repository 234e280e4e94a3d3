// Package pages reads README.md and the guides in docs/, for the tests that hold
// what they say to the code. It knows as much of Markdown as those pages use.
package pages

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Page is one file.
type Page struct {
	Name string // from the top of the repository
	Text string
}

// Read returns README.md and docs/*.md of the repository at root.
func Read(root string) ([]Page, error) {
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		return nil, err
	}
	var all []Page
	for _, name := range append([]string{filepath.Join(root, "README.md")}, names...) {
		text, err := os.ReadFile(name) //nolint:gosec // a page of this repository
		if err != nil {
			return nil, err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return nil, err
		}
		all = append(all, Page{Name: filepath.ToSlash(relative), Text: string(text)})
	}
	return all, nil
}

// Block is a block of code.
type Block struct {
	Page     string
	Line     int    // of its first line
	Language string // as its fence names it; "indented" where it has no fence
	Text     string // without white space around it
}

// Indented is the language of a block that is indented and has no fence.
const Indented = "indented"

// Blocks returns the blocks of code in their order.
func (p Page) Blocks() []Block {
	var all []Block
	p.walk(func(b Block) { all = append(all, b) })
	return all
}

// Prose returns the page with an empty line for each line of a block.
func (p Page) Prose() string { return p.walk(func(Block) {}) }

func (p Page) walk(found func(Block)) (prose string) {
	var (
		text   strings.Builder
		block  *Block // that is open; nil: none
		fence  string // that ends it; empty: it is indented
		before = ""   // the line before
	)
	end := func() {
		block.Text = strings.TrimSpace(block.Text)
		found(*block)
		block = nil
	}
	for i, line := range strings.Split(p.Text, "\n") {
		mark := fenceMark(line)
		indented := strings.HasPrefix(line, "    ") && strings.TrimSpace(line) != ""
		if block != nil && fence == "" && !indented && strings.TrimSpace(line) != "" {
			end()
		}
		switch {
		case block != nil && fence != "" && strings.TrimSpace(line) == fence:
			end()
			line = ""
		case block != nil:
			block.Text += strings.TrimPrefix(line, "    ") + "\n"
			line = ""
		case mark != "":
			language := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), mark))
			block, fence = &Block{Page: p.Name, Line: i + 2, Language: language}, mark
			line = ""
		case indented && strings.TrimSpace(before) == "":
			block, fence = &Block{Page: p.Name, Line: i + 1, Language: Indented}, ""
			block.Text = strings.TrimPrefix(line, "    ") + "\n"
			line = ""
		}
		before = line
		text.WriteString(line + "\n")
	}
	if block != nil {
		end()
	}
	return text.String()
}

// fenceMark is the mark of a fence, wherever on its line that begins.
func fenceMark(line string) string {
	line = strings.TrimSpace(line)
	for _, mark := range []string{"```", "~~~"} {
		if strings.HasPrefix(line, mark) {
			return mark
		}
	}
	return ""
}

// Table is a table whose first line names its columns.
type Table struct {
	Page string
	Head []string
	Rows [][]string
}

// Tables returns the tables in their order.
func (p Page) Tables() []Table {
	var all []Table
	var open *Table
	for line := range strings.Lines(p.Prose()) {
		cells := cellsOf(line)
		switch {
		case cells == nil:
			open = nil
		case open == nil:
			all = append(all, Table{Page: p.Name, Head: cells})
			open = &all[len(all)-1]
		case strings.Trim(strings.Join(cells, ""), "-: ") != "":
			open.Rows = append(open.Rows, cells)
		}
	}
	return all
}

// cellsOf returns the cells of a table's line; nil of any other.
func cellsOf(line string) []string {
	line = strings.TrimSpace(line)
	if len(line) < 2 || !strings.HasPrefix(line, "|") || !strings.HasSuffix(line, "|") {
		return nil
	}
	const bar = "\x00"
	line = strings.ReplaceAll(line[1:len(line)-1], `\|`, bar)
	cells := strings.Split(line, "|")
	for i, cell := range cells {
		cells[i] = strings.TrimSpace(strings.ReplaceAll(cell, bar, "|"))
	}
	return cells
}

var (
	span = regexp.MustCompile("`([^`]+)`")
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	head = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// Spans returns the pieces of code within a text.
func Spans(text string) []string { return submatches(span, text) }

// Links returns what a page links to.
func (p Page) Links() []string { return submatches(link, p.Prose()) }

// Anchors returns the names by which the page's headings are linked to.
func (p Page) Anchors() []string {
	anchors := submatches(head, p.Prose())
	for i, heading := range anchors {
		anchors[i] = strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(heading))
	}
	return anchors
}

func submatches(re *regexp.Regexp, text string) []string {
	var all []string
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}
