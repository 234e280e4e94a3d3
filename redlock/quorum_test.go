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
// decided if all ways lead to the same end. The other letters are kinds of n and u.
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

// agree fails where the verdict on a word of n letters is not what a dumb one
// says.
func agree(t *testing.T, letters string, n int) {
	t.Helper()
	plain := strings.NewReplacer("o", "n", "r", "u", "m", "u")
	dumb := make(map[[3]int]verdict) // the votes' order does not matter, but for this cache
	for _, word := range words(letters, n) {
		votes := plain.Replace(word)
		counts := [3]int{strings.Count(votes, "y"), strings.Count(votes, "n"), strings.Count(votes, "u")}
		want, known := dumb[counts]
		if !known {
			want = dumbVerdict(votes)
			dumb[counts] = want
		}
		if got := ballotBox(word).verdict(); got != want {
			t.Fatalf("%s: got %s, want %s", word, verdictNames[got], verdictNames[want])
		}
	}
}

// words are all that have n letters.
func words(letters string, n int) (all []string) {
	if n == 0 {
		return []string{""}
	}
	for _, rest := range words(letters, n-1) {
		for _, letter := range letters {
			all = append(all, rest+string(letter))
		}
	}
	return all
}

func TestTheVerdictAgreesWithADumbOneOverAllVotesUpToSevenNodes(t *testing.T) {
	for n := 1; n <= 7; n++ {
		agree(t, ".ynu", n)
	}
	for n := 1; n <= 5; n++ {
		agree(t, ".ynourm", n)
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
