// Quickstart tells in a few seconds what a lock on a quorum of Redis nodes
// does. It uses five nodes in memory, so nothing has to be installed:
//
//	go run ./examples/quickstart
//
// or servers that are running, of which it stops none:
//
//	go run ./examples/quickstart -nodes redis://10.0.0.1,redis://10.0.0.2,redis://10.0.0.3
//
// Each step checks that what it tells has happened. The first one that has not
// ends the program with a message and the status 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

// ttl is how long the nodes keep a lock of the story: short, so that the reader
// sees locks end.
const ttl = 1500 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// run tells the story on the nodes that args name.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(out)
	uris := flags.String("nodes", "", "tell it on these servers, `URI,URI,URI`, and not on five nodes in memory")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is not understood; the only flag is -nodes", flags.Arg(0))
	}
	s := &story{out: out, begun: time.Now(), ttl: ttl}
	if *uris == "" {
		quorum, err := redlocktest.Start(5)
		if err != nil {
			return err
		}
		defer quorum.Close()
		s.memory, s.nodes = quorum, quorum.Nodes()
	} else {
		nodes, err := redlock.ParseNodes(*uris)
		if err != nil {
			return err
		}
		s.nodes = nodes
	}
	return s.tell(ctx)
}
