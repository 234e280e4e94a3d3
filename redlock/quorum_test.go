package redlock

import (
	"fmt"
	"strings"
	"testing"
)

// ballotBox reads votes from a word: y granted, n refused, o own, r rejected,
// u unknown, m misconfigured, a dot for a vote that is still open.
func ballotBox(word string) tally {
	b := newBallot(len(word), complete)
	votes := map[rune]vote{'y': granted, 'n': refused, 'o': own, 'r': rejected, 'u': unknown, 'm': misconfigured}
	for i, letter := range word {
		if v, ok := votes[letter]; ok {
			b.receive(&b.commands[i], v, nil)
		}
	}
	return b.tally
}

var verdictNames = map[verdict]string{undecided: "undecided", won: "won", beaten: "beaten", noQuorum: "no quorum"}

func TestVotesDecideTheVerdictAsSoonAsNoOpenVoteCanChangeIt(t *testing.T) {
	for _, row := range strings.Split(strings.TrimSpace(`
		.     undecided
		y     won
		n     beaten
		u     no quorum

		y.    undecided
		yy    won
		yn    beaten
		yu    no quorum
		n.    beaten
		u.    undecided

		...   undecided
		y..   undecided
		yy.   won
		yn.   undecided
		ynn   beaten
		yny   won
		nn.   beaten
		no.   beaten
		oo.   beaten
		nu.   undecided
		nun   beaten
		nuu   no quorum
		nuy   no quorum
		uu.   no quorum
		um.   no quorum
		yuu   no quorum
		yur   no quorum
		yuy   won
		rrr   no quorum

		yy..  undecided
		yyy.  won
		yynn  beaten
		yynu  no quorum
		nn..  beaten

		yyy.. won
		yynn. undecided
		yynnn beaten
		yynnu no quorum
		nnn.. beaten
		nnu.. undecided
		nnuu. undecided
		nnuun beaten
		nnuuy no quorum
		ynuu. no quorum
		uuu.. no quorum
		yuu.. undecided
		nuu.. undecided
	`), "\n") {
		word, want, ok := strings.Cut(strings.TrimSpace(row), " ")
		if !ok {
			continue
		}
		t.Run(word, func(t *testing.T) {
			if got := verdictNames[ballotBox(word).verdict()]; got != strings.TrimSpace(want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// dumbVerdict decides by trying every way in which the open votes can go: it is
// decided if all ways lead to the same end.
func dumbVerdict(word string) verdict {
	if open := strings.IndexByte(word, '.'); open >= 0 {
		var ends [4]bool
		for _, letter := range "ynu" {
			ends[dumbVerdict(word[:open]+string(letter)+word[open+1:])] = true
		}
		var end verdict
		for v := undecided; v <= noQuorum; v++ {
			if ends[v] && end != undecided {
				return undecided
			} else if ends[v] {
				end = v
			}
		}
		if ends[undecided] {
			return undecided
		}
		return end
	}
	yes := strings.Count(word, "y")
	failed := strings.Count(word, "u")
	switch {
	case 2*yes > len(word):
		return won
	case 2*(yes+failed) > len(word): // the failed ones could have turned it
		return noQuorum
	}
	return beaten
}

func TestTheVerdictAgreesWithADumbOneOverAllVotesUpToSevenNodes(t *testing.T) {
	var words func(n int) []string
	words = func(n int) []string {
		if n == 0 {
			return []string{""}
		}
		var all []string
		for _, rest := range words(n - 1) {
			for _, letter := range ".ynu" {
				all = append(all, rest+string(letter))
			}
		}
		return all
	}
	dumb := make(map[[4]int]verdict) // the votes' order does not matter, but for this cache
	for n := 1; n <= 7; n++ {
		for _, word := range words(n) {
			box := ballotBox(word)
			counts := [4]int{n, box.yes, box.no, box.failed}
			want, known := dumb[counts]
			if !known {
				want = dumbVerdict(word)
				dumb[counts] = want
			}
			if got := box.verdict(); got != want {
				t.Fatalf("%s: got %s, want %s", word, verdictNames[got], verdictNames[want])
			}
		}
	}
}

func TestAMajorityIsOfTheConfiguredNodes(t *testing.T) {
	for nodes, want := range map[int]int{1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 4, 7: 4} {
		t.Run(fmt.Sprint(nodes), func(t *testing.T) {
			if got := majority(nodes); got != want {
				t.Errorf("got %d, want %d", got, want)
			}
		})
	}
}

func TestALockThatWaitsKnowsWhetherAMajorityVotedBeforeItCountsATryAsBarren(t *testing.T) {
	for word, want := range map[string]bool{
		"yy.":   true,  // won
		"nn.":   true,  // beaten
		"uu.":   true,  // at most one can still vote
		"ynuu.": false, // no quorum, but one more vote would make it contention
		"nnuu.": false,
		"nnuuu": true,
		"ynuun": true,
	} {
		if got := judged(ballotBox(word)); got != want {
			t.Errorf("%s: got %v, want %v", word, got, want)
		}
	}
}

func TestTheFirstVoteOfANodeCounts(t *testing.T) {
	b := newBallot(3, complete)
	b.receive(&b.commands[1], unknown, nil)
	b.receive(&b.commands[1], granted, nil)
	if b.tally.yes != 0 || b.tally.failed != 1 {
		t.Errorf("got %+v", b.tally)
	}
}
