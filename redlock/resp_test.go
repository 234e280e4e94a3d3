package redlock

import (
	"errors"
	"strings"
	"testing"
)

func TestARepliesBytesAreTakenWholeOrNotAtAll(t *testing.T) {
	for _, whole := range []string{
		"+OK\r\n", "-ERR no\r\n", ":1\r\n", ":-12\r\n", "$-1\r\n", "$0\r\n\r\n", "$5\r\na\r\nbc\r\n",
		"*-1\r\n", "*0\r\n", "*2\r\n:1\r\n$2\r\nab\r\n", "*1\r\n*2\r\n+a\r\n$-1\r\n",
	} {
		for cut := range len(whole) {
			if _, size, err := parseReply([]byte(whole[:cut])); size != 0 || err != nil {
				t.Errorf("%q cut at %d: size %d, error %v", whole, cut, size, err)
			}
		}
		if _, size, err := parseReply([]byte(whole + "+next\r\n")); size != len(whole) || err != nil {
			t.Errorf("%q: size %d, error %v", whole, size, err)
		}
	}
}

func TestAReplyThatRedisDoesNotSendIsOutOfStep(t *testing.T) {
	for _, broken := range []string{
		"HTTP/1.1 400 Bad Request\r\n", "\r\n", "x", "+OK\n", "+O\rK\r\n",
		":\r\n", ":+1\r\n", ":01\r\n", ":-0\r\n", ":1.5\r\n", ":one\r\n",
		"$-2\r\n", "$01\r\na\r\n", "$99999999\r\n", "$1\r\nabc\r\n", "$1\r\na\nb",
		"*-2\r\n", "*1\r\n%1\r\n", "_\r\n", "#t\r\n",
		strings.Repeat("*1\r\n", 10),
		"+" + strings.Repeat("a", maxReply+2),
	} {
		if _, size, err := parseReply([]byte(broken)); !errors.Is(err, errOutOfStep) {
			t.Errorf("%.40q: size %d, error %v", broken, size, err)
		}
	}
}

func TestEachAnswerToACommandIsOneVoteOrOutOfStep(t *testing.T) {
	for _, row := range []struct {
		read  func(reply) (vote, error)
		reply string
		want  vote
	}{
		{readSet, "+OK\r\n", granted},
		{readSet, "$-1\r\n", refused},
		{readSet, "-OOM command not allowed\r\n", rejected},
		{readSet, "-NOPERM no permissions\r\n", misconfigured},
		{readSet, "-MOVED 1 127.0.0.1:1\r\n", misconfigured},
		{readSet, "-LOADING Redis is loading\r\n", rejected},
		{readBool, ":1\r\n", granted},
		{readBool, ":0\r\n", refused},
		{readBool, "-WRONGTYPE Operation against a key\r\n", refused},
		{readBool, "-ERR Error running script (call to f_1): @user_script:1: WRONGTYPE Operation\r\n", refused},
		{readBool, "-ERR Error running script (call to f_1): @user_script:1: -NOPERM no\r\n", misconfigured},
		{readGiven, ":2\r\n", own},
		{readReplayed, ":2\r\n", granted},
		{readPong, "+PONG\r\n", granted},
	} {
		r, _, err := parseReply([]byte(row.reply))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := row.read(r); got != row.want {
			t.Errorf("%q: got %d, want %d", row.reply, got, row.want)
		}
	}
	for _, row := range []struct {
		read  func(reply) (vote, error)
		reply string
	}{
		{readSet, ":1\r\n"}, {readSet, "+QUEUED\r\n"}, {readSet, "$2\r\nOK\r\n"}, {readSet, "*0\r\n"},
		{readBool, ":2\r\n"}, {readBool, ":-1\r\n"}, {readBool, "+OK\r\n"}, {readBool, "$-1\r\n"},
		{readPong, "+OK\r\n"}, {readGiven, ":3\r\n"},
	} {
		r, _, err := parseReply([]byte(row.reply))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := row.read(r); !errors.Is(err, errOutOfStep) {
			t.Errorf("%q passed for an answer", row.reply)
		}
	}
}

func TestAServersWordsAreOneBoundedLineWithoutArguments(t *testing.T) {
	text := "ERR unknown command 'SET', with args beginning with: 'key' 'secret-token'"
	if got := serverError([]byte(text)).Error(); strings.Contains(got, "secret") {
		t.Errorf("got %q", got)
	}
	got := serverError([]byte("a\nb\tc" + strings.Repeat("x", 1000))).Error()
	if len(got) > 200 || strings.ContainsAny(got, "\n\t") {
		t.Errorf("got %q", got)
	}
}

func FuzzParseReply(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "$3\r\nabc\r\n", "*2\r\n:1\r\n$-1\r\n", "-ERR\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, size, err := parseReply(b)
		if size < 0 || size > len(b) || size > 0 && err != nil {
			t.Fatalf("size %d of %d, error %v", size, len(b), err)
		}
		if size > 0 {
			if _, again, _ := parseReply(b[:size]); again != size {
				t.Fatalf("size %d, then %d", size, again)
			}
		}
	})
}
