package servers

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/redlock-go/redlock/test/loopback"
)

// replicated are the options of a server that can be master and replica.
func (o Options) replicated() Options {
	o.Config = append(slices.Clone(o.Config),
		"repl-diskless-sync-delay 0",
		"repl-ping-replica-period 1",
		"replica-announce-ip "+loopback.Host,
	)
	o.Config = append(o.Config, o.credentials("masteruser", "masterauth")...)
	if o.TLS != nil {
		o.Config = append(o.Config, "tls-replication yes")
	}
	return o
}

// sentinelOptions are those of each Sentinel.
func (s *Sentinels) sentinelOptions() Options {
	o := Options{Password: s.options.Password, Users: s.options.Users, TLS: s.options.TLS, sentinel: true}
	o.Config = []string{"sentinel announce-ip " + loopback.Host}
	for _, group := range s.Groups {
		o.Config = append(o.Config, s.watch(group)...)
	}
	o.Config = append(o.Config, o.credentials("sentinel sentinel-user", "sentinel sentinel-pass")...)
	o.masterTLS = s.options.Master.TLS
	return o
}

// watch are the lines that make a Sentinel watch a group.
func (s *Sentinels) watch(group *Group) []string {
	lines := []string{
		fmt.Sprintf("sentinel monitor %s %s %d 2", group.Name, loopback.Host, group.Servers[0].Port),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", group.Name, s.options.DownAfter.Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s %d", group.Name, failoverTimeout.Milliseconds()),
	}
	auth := s.options.Master.credentials("sentinel auth-user "+group.Name, "sentinel auth-pass "+group.Name)
	return append(lines, auth...)
}

// credentials are the two lines with which a server logs in to others that were
// started with the same options; none where there is nothing to log in with.
func (o Options) credentials(userSetting, passwordSetting string) []string {
	user, password := o.admin()
	var lines []string
	if user != "" {
		lines = append(lines, userSetting+" "+user)
	}
	if password != "" {
		lines = append(lines, passwordSetting+" "+password)
	}
	return lines
}

// listenSentinel gives a Sentinel a plain and a TLS port where anyone needs TLS:
// Sentinels speak to each other as they do to the masters, whatever their
// clients speak. The port is the clients'.
func (o Options) listenSentinel(dir string, port int) ([]string, error) {
	if o.TLS == nil && o.masterTLS == nil {
		return []string{fmt.Sprintf("port %d", port)}, nil
	}
	plain, secure := port, loopback.Port()
	if o.TLS != nil {
		plain, secure = secure, plain
	}
	lines := []string{fmt.Sprintf("port %d", plain), fmt.Sprintf("tls-port %d", secure)}
	if o.masterTLS == nil {
		files, err := o.TLS.write(dir)
		return append(lines, files...), err
	}
	own := *cmp.Or(o.TLS, o.masterTLS)
	own.trusted = o.masterTLS.CA.PEM
	files, err := own.write(dir)
	if err != nil {
		return nil, err
	}
	client, err := o.masterTLS.CA.harness.write(dir, "tls-client-cert-file", "tls-client-key-file")
	return slices.Concat(lines, files, client, []string{"tls-replication yes"}), err
}
