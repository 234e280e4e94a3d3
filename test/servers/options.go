package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/test/loopback"
)

// Options say what a server demands. The zero value is a plain server on a
// loopback port that keeps nothing on disk.
type Options struct {
	// Config are lines of the server's configuration file, such as "timeout 1".
	Config []string

	// Password is what the default user needs.
	Password string

	// Users are the users in ACL notation without the word "user", such as
	// "locker on >secret ~* +@all". With any, the default user is off.
	Users []string

	// TLS, where set, is the only thing that the port speaks.
	TLS *TLS

	// Socket makes the server listen on a unix socket too, see [Server.Socket].
	Socket bool

	// Durable makes each write survive a kill. Without it a server that was
	// killed comes back empty.
	Durable bool

	// Clock gives the server a wall clock that [Server.SetClock] can move.
	Clock bool

	sentinel  bool
	masterTLS *TLS // of the masters that a Sentinel watches
}

// TLS is what a server shows to its clients and what it wants to see of theirs.
type TLS struct {
	CA   *CA
	Cert Pair

	// ClientCert makes the server refuse clients without a certificate of CA.
	ClientCert bool

	trusted []byte // further authorities, as PEM
}

// The harness's own user, where users are configured.
const (
	adminUser     = "harness"
	adminPassword = "harness-password"
)

// write puts the configuration into dir and returns its path.
func (o Options) write(dir string, port int) (string, error) {
	lines := []string{
		"bind " + loopback.Host,
		"protected-mode no",
		"dir " + dir,
		"logfile \"\"",
	}
	if !o.sentinel {
		lines = append(lines, o.persistence()...)
	}
	if o.Socket {
		lines = append(lines, "unixsocket "+socketPath(dir), "unixsocketperm 700")
	}
	if o.Password != "" {
		lines = append(lines, "requirepass "+o.Password)
	}
	if len(o.Users) > 0 {
		lines = append(lines, "user default off", fmt.Sprintf("user %s on >%s ~* &* +@all", adminUser, adminPassword))
	}
	for _, user := range o.Users {
		lines = append(lines, "user "+user)
	}
	listen, err := o.listen(dir, port)
	if err != nil {
		return "", err
	}
	lines = append(lines, listen...)
	if slices.Contains(o.Config, "cluster-enabled yes") {
		// By default 10,000 above its own port, where outgoing connections have theirs.
		lines = append(lines, fmt.Sprintf("cluster-port %d", loopback.Port()))
	}
	lines = append(lines, o.Config...)
	path := filepath.Join(dir, "server.conf")
	return path, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

func (o Options) persistence() []string {
	if o.Durable {
		return []string{`save ""`, "appendonly yes", "appendfsync always"}
	}
	return []string{`save ""`, "appendonly no"}
}

func (o Options) listen(dir string, port int) ([]string, error) {
	if o.sentinel {
		return o.listenSentinel(dir, port)
	}
	if o.TLS == nil {
		return []string{fmt.Sprintf("port %d", port)}, nil
	}
	lines, err := o.TLS.write(dir)
	return append(lines, "port 0", fmt.Sprintf("tls-port %d", port)), err
}

// write puts the certificates into dir and returns the lines that name them.
func (s *TLS) write(dir string) ([]string, error) {
	auth := "tls-auth-clients no"
	if s.ClientCert {
		auth = "tls-auth-clients yes"
	}
	authorities := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(authorities, slices.Concat(s.CA.PEM, s.trusted), 0o600); err != nil {
		return nil, err
	}
	lines, err := s.Cert.write(dir, "tls-cert-file", "tls-key-file")
	return append(lines, auth, "tls-ca-cert-file "+authorities), err
}

// write puts the pair into dir and returns the lines that set it.
func (p Pair) write(dir, certSetting, keySetting string) ([]string, error) {
	cert := filepath.Join(dir, certSetting+".pem")
	key := filepath.Join(dir, keySetting+".pem")
	if err := os.WriteFile(cert, p.Cert, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(key, p.Key, 0o600); err != nil {
		return nil, err
	}
	return []string{certSetting + " " + cert, keySetting + " " + key}, nil
}

// admin is the user as whom the harness logs in.
func (o Options) admin() (user, password string) {
	if len(o.Users) > 0 {
		return adminUser, adminPassword
	}
	return "", o.Password
}

// client is what the harness itself looks at the server with.
func (o Options) client(addr string) *redis.Client {
	user, password := o.admin()
	opts := &redis.Options{
		Addr:                     addr,
		Username:                 user,
		Password:                 password,
		Protocol:                 2,
		MaxRetries:               -1,
		DialerRetries:            1,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		MaintNotificationsConfig: noMaintenance,
	}
	if o.TLS != nil {
		opts.TLSConfig = o.TLS.CA.harnessConfig()
	}
	return redis.NewClient(opts)
}
