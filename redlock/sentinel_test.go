package redlock

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

const (
	oldMaster = "10.0.1.1:6379"
	newMaster = "10.0.1.2:6379"
)

// fakeSentinel is a Sentinel that says what the test wants.
type fakeSentinel struct {
	*fakeredis.Node
	address string

	mu        sync.Mutex
	says      naming          // guarded by mu
	reply     string          // guarded by mu: to the question for the address, in place of says
	secret    bool            // guarded by mu: it does not tell the epoch
	announced <-chan struct{} // closed: it announces a change; nil: it announces none
}

// startSentinels starts three Sentinels that name the old master, and makes
// what asks them.
func startSentinels(t *testing.T, cfg Node) (*sentinel, []*fakeSentinel) {
	t.Helper()
	nt := fakeredis.NewNet()
	fakes := make([]*fakeSentinel, 3)
	for i := range fakes {
		address := fmt.Sprintf("10.0.0.%d:26379", i+1)
		fakes[i] = &fakeSentinel{Node: nt.Start(t, address), address: address, says: naming{oldMaster, 0}}
		fakes[i].SetMode("sentinel")
		fakes[i].OnCommand(fakes[i].answer)
		cfg.Sentinels = append(cfg.Sentinels, address)
	}
	cfg.Master = "leader"
	m, err := New(Config{Nodes: []Node{cfg}})
	if err != nil {
		t.Fatal(err)
	}
	m.dial = nt.DialContext
	t.Cleanup(m.die)
	return m.nodes[0].sentinel, fakes
}

func (f *fakeSentinel) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeSentinel) name(address string, epoch uint64) {
	f.set(func() { f.says = naming{address, epoch} })
}

// answerWith sets the reply to the question for the address.
func (f *fakeSentinel) answerWith(reply string) { f.set(func() { f.reply = reply }) }

// announce makes the next subscriber hear of a change, after d.
func (f *fakeSentinel) announce(d time.Duration) {
	ready := make(chan struct{})
	f.set(func() { f.announced = ready })
	time.AfterFunc(d, func() { close(ready) })
}

func (f *fakeSentinel) answer(c fakeredis.Command) fakeredis.Action {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case c.Name == "SUBSCRIBE":
		subscribed := string(appendBulk(appendBulk([]byte("*3\r\n"), "subscribe"), "+switch-master")) + ":1\r\n"
		if f.announced == nil {
			return fakeredis.Action{Reply: subscribed}
		}
		return fakeredis.Action{
			Until: f.announced,
			Reply: subscribed + string(appendCommand(nil, "message", "+switch-master", "leader 1 2 3 4")),
		}
	case c.Name != "SENTINEL":
		return fakeredis.Action{}
	case strings.EqualFold(c.Args[0], "MASTER") && f.secret:
		return fakeredis.Action{Reply: "-NOPERM no permissions\r\n"}
	case c.Args[1] != "leader":
		return fakeredis.Action{Reply: "*-1\r\n"}
	case strings.EqualFold(c.Args[0], "MASTER"):
		return fakeredis.Action{Reply: string(appendCommand(nil, "name", "leader", "config-epoch", fmt.Sprint(f.says.epoch)))}
	case f.reply != "":
		return fakeredis.Action{Reply: f.reply}
	}
	host, port, _ := net.SplitHostPort(f.says.address)
	return fakeredis.Action{Reply: string(appendCommand(nil, host, port))}
}

// mustResolve wants the address, after exactly d.
func mustResolve(t *testing.T, s *sentinel, want string, d time.Duration) {
	t.Helper()
	begun := time.Now()
	got, err := s.resolve(t.Context())
	if got != want || err != nil {
		t.Fatalf("resolved to %q, %v, want %q", got, err, want)
	}
	if took := time.Since(begun); took != d {
		t.Fatalf("took %v, want %v", took, d)
	}
}

// watching is a watch of the old master that runs.
type watching struct {
	t     *testing.T
	begun time.Time
	ended chan struct{}
	done  chan error
}

func watchOldMaster(t *testing.T, s *sentinel) *watching {
	w := &watching{t, time.Now(), make(chan struct{}), make(chan error, 1)}
	go func() { w.done <- s.watch(w.ended, oldMaster) }()
	synctest.Wait()
	return w
}

// mustName wants the watch to have named the new master, after exactly d.
func (w *watching) mustName(d time.Duration) {
	w.t.Helper()
	passTime(time.Until(w.begun.Add(d)))
	select {
	case err := <-w.done:
		if err == nil || !contains(err.Error(), newMaster) {
			w.t.Fatalf("ended with %v, want an error that names %s", err, newMaster)
		}
	default:
		close(w.ended)
		w.t.Fatalf("goes on after %v", d)
	}
}

// mustGoOn wants the watch to run still, then ends it.
func (w *watching) mustGoOn(d time.Duration) {
	w.t.Helper()
	passTime(time.Until(w.begun.Add(d)))
	close(w.ended)
	synctest.Wait()
	select {
	case err := <-w.done:
		if err != nil {
			w.t.Fatalf("ended before its stream: %v", err)
		}
	default:
		w.t.Fatal("outlives its stream")
	}
}

func TestTheNewestConfigurationIsBelievedAndAmongEqualsTheOneThatMostName(t *testing.T) {
	none := naming{}
	for _, row := range []struct {
		name  string
		said  []naming
		want  naming
		votes int
	}{
		{"nobody has answered", []naming{none, none, none}, none, 0},
		{"one has answered", []naming{none, {"a", 0}, none}, naming{"a", 0}, 1},
		{"all agree", []naming{{"a", 1}, {"a", 1}, {"a", 1}}, naming{"a", 1}, 3},
		{"one is cut off", []naming{{"a", 1}, {"b", 2}, {"b", 2}}, naming{"b", 2}, 2},
		{"one knows of the failover", []naming{{"a", 1}, {"a", 1}, {"b", 2}}, naming{"b", 2}, 1},
		{"one is cut off, one is down", []naming{{"a", 1}, none, {"b", 2}}, naming{"b", 2}, 1},
		{"epochs are not told", []naming{{"a", 0}, {"b", 0}, {"b", 0}}, naming{"b", 0}, 2},
		{"a tie", []naming{none, {"b", 3}, {"a", 3}}, naming{"b", 3}, 1},
		{"a failover back", []naming{{"a", 3}, {"b", 2}, {"b", 2}}, naming{"a", 3}, 1},
	} {
		if best, votes := believed(row.said); best != row.want || votes != row.votes {
			t.Errorf("%s: got %v with %d votes, want %v with %d", row.name, best, votes, row.want, row.votes)
		}
	}
}

func TestAMajorityOfSentinelsThatAgreeIsBelievedAtOnce(t *testing.T) {
	for _, fault := range []func(*fakeSentinel){
		func(f *fakeSentinel) {},
		func(f *fakeSentinel) { f.Kill() },
		func(f *fakeSentinel) { f.Pause() },
		func(f *fakeSentinel) { f.Blackhole(true) },
	} {
		synctest.Test(t, func(t *testing.T) {
			s, fakes := startSentinels(t, Node{})
			fault(fakes[0])
			mustResolve(t, s, oldMaster, 0)
		})
	}
}

func TestASilentMajorityOfSentinelsDelaysTheAnswerOfTheOtherByLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		fakes[0].Pause()
		fakes[2].Blackhole(true)
		mustResolve(t, s, oldMaster, straggle)
	})
}

func TestASentinelThatWasCutOffDoesNotWinAgainstTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		fakes[1].name(newMaster, 1)
		fakes[2].name(newMaster, 1)
		mustResolve(t, s, newMaster, 0)
		fakes[2].Kill()
		mustResolve(t, s, newMaster, 0) // one against one: the epoch decides
	})
}

func TestWithoutEpochsTheAddressThatMostSentinelsNameIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		for _, f := range fakes {
			f.set(func() { f.secret = true })
		}
		fakes[1].name(newMaster, 1)
		fakes[2].name(newMaster, 1)
		mustResolve(t, s, newMaster, 0)
	})
}

func TestWhatEndedTheStreamIsNotOutvotedByOlderAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		w := watchOldMaster(t, s)
		fakes[2].name(newMaster, 1) // the others have not heard of it yet
		w.mustName(askInterval)
		fakes[2].SetDelay(time.Millisecond, time.Millisecond) // and are faster
		if got, err := s.resolve(t.Context()); got != newMaster || err != nil {
			t.Fatalf("resolved to %q, %v, want %q", got, err, newMaster)
		}
	})
}

func TestAnAddressFromSentinelIsCheckedBeforeItIsDialled(t *testing.T) {
	for _, reply := range []string{
		"*2\r\n$0\r\n\r\n$4\r\n6379\r\n",
		"*2\r\n$3\r\na b\r\n$4\r\n6379\r\n",
		"*2\r\n$8\r\n10.0.1.1\r\n$1\r\n0\r\n",
		"*2\r\n$8\r\n10.0.1.1\r\n$5\r\n65536\r\n",
		"*2\r\n$8\r\n10.0.1.1\r\n$5\r\n+6379\r\n",
		"*1\r\n$8\r\n10.0.1.1\r\n",
		"*0\r\n",
		"$8\r\n10.0.1.1\r\n",
		":1\r\n",
		"+OK\r\n",
		"HTTP/1.1 400 Bad Request\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			s, fakes := startSentinels(t, Node{})
			for _, f := range fakes {
				f.answerWith(reply)
			}
			if got, err := s.resolve(t.Context()); err == nil {
				t.Errorf("%q: resolved to %q", reply, got)
			}
		})
	}
}

func TestAnIPv6MasterIsDialledInBrackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		for _, f := range fakes {
			f.name("[fd00::1]:6379", 0)
		}
		mustResolve(t, s, "[fd00::1]:6379", 0)
	})
}

// mustFail wants an error about field that says something of each Sentinel.
func mustFail(t *testing.T, s *sentinel, field string, parts ...string) {
	t.Helper()
	_, err := s.resolve(t.Context())
	if err == nil {
		t.Fatal("resolved")
	}
	config, ok := errors.AsType[*ConfigError](err)
	if field == "" && ok || field != "" && (!ok || config.Field != field) {
		t.Errorf("got %#v, want the field %q", err, field)
	}
	for _, part := range append(parts, s.cfg.Sentinels...) {
		if !contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v: matches a context's error", err)
	}
}

func TestEachSentinelIsNamedWithTheReasonWhyItGaveNoAddress(t *testing.T) {
	for _, row := range []struct {
		name         string
		node         Node
		fault        func(*sentinel, *fakeSentinel)
		field, words string
	}{
		{"down", Node{}, func(_ *sentinel, f *fakeSentinel) { f.Kill() }, "", "connection refused"},
		{"silent", Node{}, func(_ *sentinel, f *fakeSentinel) { f.Pause() }, "", "did not answer in time"},
		{"silent, as a plain server is to TLS", Node{SentinelTLS: true}, func(_ *sentinel, f *fakeSentinel) { f.Pause() },
			"", "did not answer in time (perhaps it does not speak TLS)"},
		{"hangs up, as a server that wants TLS does", Node{}, func(_ *sentinel, f *fakeSentinel) {
			f.OnCommand(func(fakeredis.Command) fakeredis.Action { return fakeredis.Action{CutReply: true} })
		}, "", "perhaps it wants TLS"},
		{"unreachable", Node{}, func(_ *sentinel, f *fakeSentinel) { f.Stall(true) }, "", "did not answer in time"},
		{"unknown master", Node{}, func(s *sentinel, _ *fakeSentinel) { s.cfg.Master = "other" },
			"nodes[0].master", `"other"`},
		{"password missing", Node{}, func(_ *sentinel, f *fakeSentinel) { f.SetPassword("sesame") },
			"nodes[0].sentinel_password", "NOAUTH"},
		{"password wrong", Node{SentinelPassword: "open-up"}, func(_ *sentinel, f *fakeSentinel) { f.SetPassword("sesame") },
			"nodes[0].sentinel_password", "WRONGPASS"},
		{"user unknown", Node{SentinelUsername: "me", SentinelPassword: "open-up"}, func(*sentinel, *fakeSentinel) {},
			"nodes[0].sentinel_password", "WRONGPASS"},
		{"no permission", Node{}, func(_ *sentinel, f *fakeSentinel) { f.answerWith("-NOPERM no permissions\r\n") },
			"nodes[0].sentinel_username", "NOPERM"},
		{"no TLS", Node{SentinelTLS: true}, func(*sentinel, *fakeSentinel) {}, "nodes[0].sentinel_tls", "TLS"},
		{"a plain server", Node{}, func(_ *sentinel, f *fakeSentinel) { f.OnCommand(nil) },
			"nodes[0].sentinels", "not a Sentinel"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, fakes := startSentinels(t, row.node)
				for _, f := range fakes {
					row.fault(s, f)
				}
				mustFail(t, s, row.field, row.words)
				if _, err := s.resolve(t.Context()); contains(err.Error(), "open-up") {
					t.Errorf("%q shows the password", err)
				}
			})
		})
	}
}

func TestOneMisconfiguredSentinelDoesNotHideThatOthersAreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		fakes[0].Kill()
		fakes[1].SetPassword("sesame")
		fakes[2].Pause()
		mustFail(t, s, "nodes[0].sentinel_password", "connection refused", "NOAUTH", "did not answer in time")
	})
}

func TestSentinelsOwnPasswordAndUserAreSent(t *testing.T) {
	for _, node := range []Node{
		{SentinelUsername: "open", Password: "the master's"},
		{SentinelPassword: "sesame", Password: "the master's"},
		{SentinelUsername: "me", SentinelPassword: "sesame", Username: "another", Password: "the master's"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, fakes := startSentinels(t, node)
			for _, f := range fakes {
				f.SetPassword("sesame")
				f.SetUser("me", "sesame")
				f.SetUser("open", "")
			}
			mustResolve(t, s, oldMaster, 0)
		})
	}
}

func TestASentinelIsSpokenToInTLSAndItsCertificateChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		certificate, roots := certify(t)
		for _, row := range []struct {
			roots *x509.CertPool
			want  string
		}{{roots, ""}, {x509.NewCertPool(), "nodes[0].sentinel_tls"}} {
			s, _ := startSentinels(t, Node{SentinelTLS: true, TLSConfig: &tls.Config{RootCAs: row.roots}})
			plain := s.m.dial
			var open atomic.Int32
			s.m.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := terminateTLS(ctx, plain, network, address, &tls.Config{Certificates: []tls.Certificate{certificate}})
				open.Add(1)
				return &countedConn{Conn: conn, open: &open}, err
			}
			if row.want == "" {
				mustResolve(t, s, oldMaster, 0)
			} else {
				mustFail(t, s, row.want, "x509: ")
			}
			if n := open.Load(); n != 0 {
				t.Errorf("%d connections are open", n)
			}
		}
	})
}

// countedConn counts itself out when it is closed.
type countedConn struct {
	net.Conn
	open *atomic.Int32
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// certify makes a certificate for the Sentinels' addresses, and the roots that
// trust it.
func certify(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{{10, 0, 0, 1}, {10, 0, 0, 2}, {10, 0, 0, 3}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// terminateTLS puts a TLS server in front of the one at address.
func terminateTLS(ctx context.Context, dial dialer, network, address string, config *tls.Config) (net.Conn, error) {
	inner, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	client, outer := net.Pipe()
	server := tls.Server(outer, config)
	forward := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}
	go forward(inner, server)
	go forward(server, inner)
	return client, nil
}

func TestAnAnnouncedFailoverEndsTheWatchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		const at = 300 * time.Millisecond
		fakes[1].announce(at)
		w := watchOldMaster(t, s)
		fakes[1].name(newMaster, 1)
		w.mustName(at)
	})
}

func TestAFailoverThatIsNotAnnouncedEndsTheWatchWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		w := watchOldMaster(t, s)
		passTime(10*time.Second + 1)
		fakes[0].name(newMaster, 1)
		w.mustName(11 * time.Second)
	})
}

func TestAnAnnouncementAloneEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		fakes[0].announce(300 * time.Millisecond) // the failover of another master
		watchOldMaster(t, s).mustGoOn(time.Minute)
	})
}

func TestASentinelThatStillNamesAnOlderMasterEndsNoStream(t *testing.T) {
	for _, secret := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, fakes := startSentinels(t, Node{})
			for _, f := range fakes {
				f.name(oldMaster, 2) // by now
				f.set(func() { f.secret = secret })
			}
			fakes[0].name(newMaster, 1)
			fakes[0].Kill()
			mustResolve(t, s, oldMaster, 0)
			w := watchOldMaster(t, s)
			passTime(10 * time.Second)
			fakes[0].Start()
			passTime(5 * time.Second)
			if len(fakes[0].Conns()) == 0 {
				t.Error("the Sentinel that came back is not asked")
			}
			w.mustGoOn(20 * time.Second)
		})
	}
}

func TestWithoutEpochsAMajorityOfSentinelsEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		for _, f := range fakes {
			f.set(func() { f.secret = true })
		}
		mustResolve(t, s, oldMaster, 0)
		w := watchOldMaster(t, s)
		fakes[1].name(newMaster, 1)
		passTime(2 * time.Second)
		fakes[2].name(newMaster, 1)
		w.mustName(3 * time.Second)
	})
}

func TestSentinelsThatAreDownEndNoStreamAndAreHeardAgainWithinASecond(t *testing.T) {
	for _, fault := range []struct{ begin, end func(*fakeSentinel) }{
		{func(f *fakeSentinel) { f.Kill() }, func(f *fakeSentinel) { f.Start() }},
		{func(f *fakeSentinel) { f.Pause() }, func(f *fakeSentinel) { f.Resume() }},
		{func(f *fakeSentinel) { f.Blackhole(true) }, func(f *fakeSentinel) { f.Blackhole(false) }},
		{func(f *fakeSentinel) { f.KillClients() }, func(f *fakeSentinel) {}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, fakes := startSentinels(t, Node{})
			w := watchOldMaster(t, s)
			for _, f := range fakes {
				fault.begin(f)
			}
			passTime(time.Minute)
			for _, f := range fakes {
				f.name(newMaster, 1)
				fault.end(f)
			}
			passTime(2 * time.Second)
			w.mustName(time.Minute + 2*time.Second)
		})
	}
}

func TestNothingIsLeftOfAWatchWhoseStreamHasEnded(t *testing.T) {
	for _, fault := range []func(*fakeSentinel){
		func(f *fakeSentinel) {},
		func(f *fakeSentinel) { f.Kill() },
		func(f *fakeSentinel) { f.Pause() },
		func(f *fakeSentinel) { f.Stall(true) },
	} {
		synctest.Test(t, func(t *testing.T) {
			s, fakes := startSentinels(t, Node{})
			fault(fakes[0])
			w := watchOldMaster(t, s)
			passTime(500 * time.Millisecond) // in the middle of connecting, where that takes time
			fault(fakes[1])
			w.mustGoOn(1100 * time.Millisecond)
			if conns := fakes[2].Conns(); len(conns) > 0 {
				t.Errorf("connections %v are open", conns)
			}
		})
	}
}

func TestAWatchKeepsTwoConnectionsToEachSentinel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		w := watchOldMaster(t, s)
		passTime(time.Minute)
		for _, f := range fakes {
			if conns := f.Conns(); !slices.Equal(conns, []int{1, 2}) {
				t.Errorf("%s: connections %v, want the first two", f.address, conns)
			}
		}
		w.mustGoOn(2 * time.Minute)
	})
}

func TestAWatchReturnsAfterTheLastOfItsTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := startSentinels(t, Node{})
		var dials atomic.Int32
		s.m.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			dials.Add(1)
			defer dials.Add(-1)
			<-ctx.Done()
			<-time.After(time.Millisecond) //nolint:forbidigo // in a bubble: it is slow to give up
			return nil, ctx.Err()
		}
		ended := make(chan struct{})
		time.AfterFunc(100*time.Millisecond, func() { close(ended) })
		_ = s.watch(ended, oldMaster)
		if n := dials.Load(); n > 0 {
			t.Errorf("%d dials are still in progress", n)
		}
	})
}

func TestASentinelsSilentConnectionIsGivenUpWithinASecond(t *testing.T) {
	for _, row := range []struct {
		when              string
		from, to, noticed time.Duration
	}{
		{"in the handshake", time.Nanosecond, 500 * time.Millisecond, askInterval},
		{"in a question", 500 * time.Millisecond, 1500 * time.Millisecond, askInterval + askTimeout},
	} {
		t.Run(row.when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, fakes := startSentinels(t, Node{})
				fakes[1].Kill()
				fakes[2].Kill()
				fakes[0].SetDelay(time.Millisecond, 0)
				time.AfterFunc(row.from, func() { fakes[0].DropReplies(true) })
				time.AfterFunc(row.to, func() { fakes[0].DropReplies(false) })
				w := watchOldMaster(t, s)
				passTime(100 * time.Millisecond)
				fakes[0].name(newMaster, 1)
				w.mustName(row.noticed + 20*time.Millisecond)
			})
		})
	}
}

func TestWhatASentinelSaidBeforeDoesNotCountOnceItIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		fakes[0].name(newMaster, 5)
		fakes[1].SetDelay(0, time.Millisecond)
		fakes[2].SetDelay(0, time.Millisecond)
		if got, err := s.resolve(t.Context()); got != newMaster || err != nil {
			t.Fatalf("resolved to %q, %v", got, err)
		}
		fakes[0].Pause()
		if got, err := s.resolve(t.Context()); got != oldMaster || err != nil {
			t.Fatalf("resolved to %q, %v, want %q", got, err, oldMaster)
		}
	})
}

func TestALockFollowsItsMasterThroughAFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fakes := startSentinels(t, Node{})
		nt := fakeredis.NewNet()
		old, promoted := nt.Start(t, oldMaster), nt.Start(t, newMaster)
		toSentinel := s.m.dial
		s.m.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasSuffix(address, ":26379") {
				return toSentinel(ctx, network, address)
			}
			return nt.DialContext(ctx, network, address)
		}
		r := &rig{Manager: s.m, t: t, all: []*Manager{s.m}}
		r.mustLock(s.m, "before")
		for _, f := range fakes {
			f.name(newMaster, 1)
		}
		passTime(askInterval)
		r.mustLock(s.m, "after")
		if !old.Exists("before") || old.Exists("after") || !promoted.Exists("after") {
			t.Errorf("the old master has %v, the new one %v", old.Keys(), promoted.Keys())
		}
		r.shutDown()
	})
}
