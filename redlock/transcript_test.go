package redlock

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

// transcript is what one node was sent, in words that are the same in each run.
type transcript struct {
	text    strings.Builder
	scripts map[string]string // text or digest -> how it is shown
	node    *fakeredis.Node
	others  []int // the connections of somebody else
	shown   int   // of the node's commands
	t       *testing.T
}

// follow tells of the first node of r from now on, less some connections.
func (tr *transcript) follow(r *rig, others ...int) {
	tr.t, tr.node, tr.others, tr.shown = r.t, r.nodes[0], others, 0
	tr.skip()
}

func (tr *transcript) want(err error) {
	if err != nil {
		tr.t.Error(err)
	}
}

func (tr *transcript) title(title string) {
	if tr.text.Len() > 0 {
		tr.text.WriteString("\n")
	}
	tr.text.WriteString("# " + title + "\n")
}

// section tells what act has the node be sent.
func (tr *transcript) section(title string, act func()) {
	synctest.Wait()
	tr.skip()
	tr.title(title)
	act()
	synctest.Wait()
	commands := tr.node.Commands()
	for _, c := range commands[tr.shown:] {
		if line := tr.line(c); line != "" && !slices.Contains(tr.others, c.Conn) {
			tr.text.WriteString(line + "\n")
		}
	}
	tr.skip()
}

func (tr *transcript) skip() { tr.shown = len(tr.node.Commands()) }

var randomPart = regexp.MustCompile(`^[0-9a-f]{32}@`)

// line is a command as it is shown; empty for the name by which go-redis presents
// itself, which has its version in it.
func (tr *transcript) line(c fakeredis.Command) string {
	words := []string{c.Name}
	for _, arg := range c.Args {
		word := randomPart.ReplaceAllString(arg, "<random>@")
		if script := tr.scripts[arg]; script != "" {
			word = script
		} else if word == "" || strings.ContainsAny(word, " \n") {
			word = strconv.Quote(word)
		}
		words = append(words, word)
	}
	switch line := strings.Join(words, " "); {
	case strings.HasPrefix(strings.ToUpper(line), "CLIENT SETINFO"):
		return ""
	case strings.HasPrefix(line, "CLIENT KILL ID"):
		return "CLIENT KILL ID <id>"
	default:
		return line
	}
}

// withoutComments is what of a script has a meaning for the node.
func withoutComments(script string) string {
	var code strings.Builder
	for line := range strings.Lines(script) {
		if !strings.HasPrefix(line, "--") {
			code.WriteString(line)
		}
	}
	return code.String()
}

// difference shows the lines that only one of two texts has.
func difference(want, got string) string {
	var b strings.Builder
	wanted, have := strings.Split(want, "\n"), strings.Split(got, "\n")
	for _, line := range wanted {
		if !slices.Contains(have, line) {
			b.WriteString("- " + line + "\n")
		}
	}
	for _, line := range have {
		if !slices.Contains(wanted, line) {
			b.WriteString("+ " + line + "\n")
		}
	}
	if b.Len() == 0 {
		return "The lines are the same, in another order or number.\n"
	}
	return b.String()
}
