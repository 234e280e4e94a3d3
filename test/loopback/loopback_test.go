package loopback

import (
	"net"
	"testing"
)

func TestNoPortIsGivenOutTwiceAndEachIsFree(t *testing.T) {
	given := map[int]bool{}
	for range 2*blockSize + 1 {
		port := Port()
		if given[port] {
			t.Fatalf("%d is given out twice", port)
		}
		given[port] = true
		ln, err := net.Listen("tcp", Addr(port))
		if err != nil {
			t.Fatal(err)
		}
		_ = ln.Close()
	}
}

func TestABlockOfAnotherProgramIsLeftAlone(t *testing.T) {
	Port()
	for _, guard := range guards {
		base := guard.Addr().(*net.TCPAddr).Port
		if ln, err := net.Listen("tcp", Addr(base)); err == nil {
			_ = ln.Close()
			t.Errorf("the block of %d can be taken by another program", base)
		}
	}
}
