package redlock

import (
	"math"
	"strconv"
	"time"
)

// assignGoRedis takes the keys of go-redis' URIs, so that one URI serves both.
// The pools, retries and timeouts that most of them set do not exist here: a
// lock's commands travel on one stream, and are never repeated.
func (d *draft) assignGoRedis(key string, s setting) (err error) {
	switch key {
	case "dial_timeout":
		d.connectTimeout, err = s.seconds()
	case "skip_verify":
		return configErrorf(s.at, "expected ssl_cert_reqs in its place, got skip_verify")
	case "master_name":
		return configErrorf(s.at, "expected master in its place, got master_name")
	case "addr":
		return configErrorf(s.at, "expected several Sentinels as hosts separated by commas, got addr")
	case "protocol", "max_retries", "dialer_retries", "max_concurrent_dials",
		"pool_size", "min_idle_conns", "max_idle_conns", "max_active_conns",
		"pipeline_pool_size", "pipeline_read_buffer_size", "pipeline_write_buffer_size":
		_, err = s.integer(math.MinInt32, math.MaxInt32)
	case "min_retry_backoff", "max_retry_backoff", "dialer_retry_timeout", "read_timeout", "write_timeout",
		"pool_timeout", "conn_max_idle_time", "idle_timeout",
		"conn_max_lifetime", "conn_max_lifetime_jitter", "max_conn_age", "route_by_latency_tolerance":
		return s.checkGoRedisDuration()
	case "pool_fifo", "context_timeout_enabled", "unstable_resp3", "disableIdentity",
		"route_by_latency", "route_randomly", "replica_only", "use_disconnected_replicas":
		_, err = s.boolean()
	case "identitySuffix":
		_, err = s.word()
	default:
		return d.unknown(key)
	}
	return err
}

// checkGoRedisDuration wants whole seconds or a duration; 0 and less turn a
// timeout off.
func (s setting) checkGoRedisDuration() error {
	text, err := s.word()
	if err != nil {
		return err
	}
	if _, err := strconv.Atoi(text); err == nil {
		return nil
	}
	if _, err := time.ParseDuration(text); err == nil {
		return nil
	}
	return s.expected("a number of seconds, or a duration such as 1.5s")
}
