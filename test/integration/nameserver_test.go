package integration

import (
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/redlock-go/redlock/test/loopback"
)

// nameServer answers questions for addresses as a test tells it.
type nameServer struct {
	Addr string

	mu      sync.Mutex
	records map[string][]net.IP // of each name; guarded by mu
	fails   bool                // every question: guarded by mu
	silent  bool                // to every question: guarded by mu
	asked   int                 // guarded by mu
}

// startNameServer starts one that knows no name. It ends with the test.
func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", loopback.Addr(0))
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{Addr: conn.LocalAddr().String(), records: map[string][]net.IP{}}
	var served sync.WaitGroup
	served.Go(func() { s.serve(conn) })
	t.Cleanup(func() {
		_ = conn.Close()
		served.Wait()
	})
	return s
}

// set gives a name these addresses, in this order.
func (s *nameServer) set(name string, addresses ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[name] = nil
	for _, address := range addresses {
		s.records[name] = append(s.records[name], net.ParseIP(address).To4())
	}
}

// become has the server fail, or be silent, from now on.
func (s *nameServer) become(fails, silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails, s.silent, s.asked = fails, silent, 0
}

// questions is how often it was asked since it has become what it is.
func (s *nameServer) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// serve ends when conn is closed.
func (s *nameServer) serve(conn net.PacketConn) {
	packet := make([]byte, 512)
	for {
		n, from, err := conn.ReadFrom(packet)
		if err != nil {
			return
		}
		if reply := s.reply(packet[:n]); reply != nil {
			_, _ = conn.WriteTo(reply, from)
		}
	}
}

const (
	dnsHeader   = 12
	dnsAnswer   = 0x8180 // a reply, with recursion
	dnsFailure  = 2      // SERVFAIL
	dnsNoName   = 3      // NXDOMAIN
	dnsTypeA    = 1
	dnsPointer  = 0xc000 + dnsHeader // to the name in the question
	dnsInternet = 1
)

// reply is the answer to one question, see RFC 1035; nil for none.
func (s *nameServer) reply(question []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	var labels []string
	at := dnsHeader
	for at < len(question) && question[at] != 0 {
		size := int(question[at])
		if at+1+size >= len(question) {
			return nil
		}
		labels = append(labels, string(question[at+1:at+1+size]))
		at += 1 + size
	}
	end := at + 5 // the last label, type and class
	if s.silent || end > len(question) {
		return nil
	}
	addresses, known := s.records[strings.ToLower(strings.Join(labels, "."))]
	code := 0
	switch {
	case s.fails:
		code, addresses = dnsFailure, nil
	case !known:
		code = dnsNoName
	case binary.BigEndian.Uint16(question[at+1:]) != dnsTypeA:
		addresses = nil
	}
	reply := binary.BigEndian.AppendUint16(nil, binary.BigEndian.Uint16(question))
	for _, field := range []int{dnsAnswer | code, 1, len(addresses), 0, 0} {
		reply = binary.BigEndian.AppendUint16(reply, uint16(field))
	}
	reply = append(reply, question[dnsHeader:end]...)
	for _, address := range addresses {
		for _, field := range []int{dnsPointer, dnsTypeA, dnsInternet, 0, 0, net.IPv4len} { // two are the TTL
			reply = binary.BigEndian.AppendUint16(reply, uint16(field))
		}
		reply = append(reply, address...)
	}
	return reply
}
