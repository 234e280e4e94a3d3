#!/usr/bin/env bash
# Makes the images that the integration tests run their servers in, from
# Debian's packages, for machines that cannot pull images:
#
#   redlock-test:trixie    Redis 8.0 and Valkey 8.1
#   redlock-test:bookworm  Redis 7.0
#
# An image that exists is left alone. Needs Docker, debootstrap and root; takes
# about half a minute for each image. With --pull, the images of Redis and Valkey
# themselves are pulled instead where that works.
set -euo pipefail

pull=${1:-}
rootfs=

cleanup() {
	if [ -n "$rootfs" ]; then
		rm -rf "$rootfs"
	fi
}
trap cleanup EXIT

fail() {
	echo "test/images/build.sh: $*" >&2
	exit 1
}

exists() {
	docker image inspect "$1" >/dev/null 2>&1
}

# pulled reports whether all of the named images are there, and pulls them first
# if it was asked to.
pulled() {
	local image
	[ "$pull" = --pull ] || return 1
	for image in "$@"; do
		exists "$image" || docker pull -q "$image" 2>/dev/null || return 1
	done
}

# build makes redlock-test:$1 with the packages $2 of the Debian release $1,
# unless the images that follow can be had.
build() {
	local suite=$1 packages=$2 image=redlock-test:$1 log
	shift 2
	if exists "$image"; then
		echo "$image exists"
		return
	fi
	if pulled "$@"; then
		echo "$image is not needed: $* can be pulled"
		return
	fi
	command -v debootstrap >/dev/null || fail "$image: debootstrap is missing (apt-get install debootstrap)"
	[ "$(id -u)" = 0 ] || fail "$image: debootstrap needs root"
	echo "$image: building with $packages"
	rootfs=$(mktemp -d)
	log=$rootfs.log
	if ! debootstrap --variant=minbase --include="$packages" "$suite" "$rootfs" >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		fail "$image: debootstrap failed; its log is $log"
	fi
	rm -rf "$rootfs"/var/cache/apt/* "$rootfs"/var/lib/apt/lists/* "$log"
	tar -C "$rootfs" -c . | docker import - "$image" >/dev/null
	rm -rf "$rootfs"
	rootfs=
	echo "$image is ready"
}

[ "$(uname)" = Linux ] || fail "the tests use containers on Linux only"
command -v docker >/dev/null || fail "docker is missing"
docker info >/dev/null 2>&1 || fail "the Docker daemon does not answer"
build trixie redis-server,valkey-server redis:8 valkey/valkey:8.1
build bookworm redis-server redis:7.0
