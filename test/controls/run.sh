#!/bin/bash
# Each patch here takes one rule of safety out of the library. This applies them
# one by one to a scratch copy, and runs the test that the patch names: it must
# fail. A test that stays green without its rule proves nothing.
#
# The header of a patch, the lines before the first ---:
#   Rule: <number>
#   <one sentence that says what is taken out>
#   Test: <package> <regular expression for go test -run>
#   Says: <extended regular expression>
# A package of ./test/integration needs servers. Tests that are separated by | must
# all fail. Says is for a test that fails for several reasons: one line of the log
# must match it.
#
# Arguments, if any, are the patches to run. Works with bash 3.2.
set -euo pipefail

GO=${GO:-go}
TIMEOUT=${TIMEOUT:-120s} # for the tests of one patch, or of all where nothing is patched

controls=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$controls/../.." && pwd -P)
scratch=$(cd "$(mktemp -d)" && pwd -P)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
# git apply must not take the copy for a part of a repository around it.
export GIT_CEILING_DIRECTORIES=$(dirname "$scratch")
copy=$scratch/copy
log=$scratch/log

mkdir "$copy"
tar -C "$root" --exclude ./.git --exclude ./.bin -cf - . | tar -C "$copy" -xf -

patches=("$@")
[ $# -gt 0 ] || patches=("$controls"/*.patch)
for i in "${!patches[@]}"; do
	patches[i]=$(cd "$(dirname "${patches[i]}")" && pwd -P)/$(basename "${patches[i]}")
done
cd "$copy"

# header prints one field of a patch.
header() { sed -n "/^--- /q; s/^$2: //p" "$1"; }

# without prints those of the tests named by $1, separated by |, of which no line of
# the log says the result $2.
without() {
	local names name
	names=$(sed -n "s/^--- $2: \([^ ]*\) .*/\1/p" "$log")
	tr '|' '\n' <<<"$1" | while IFS= read -r name; do
		grep -Eq -e "$name" <<<"$names" || echo "$name"
	done
}

# run_tests runs the tests of a package that match a regular expression. Nearly
# all of the time goes into building: the flags make that short, and let a
# later run use what this one has built.
run_tests() {
	local module=. package=$1
	case $package in ./test/*) module=./test package=./${package#./test/} ;; esac
	(cd "$module" && "$GO" test -trimpath -gcflags='-N -l' -ldflags='-s -w' -vet=off -count=1 -v \
		-timeout "$TIMEOUT" -run "$2" "$package") >"$log" 2>&1
}

# require_green runs every named test of one package on the unpatched copy.
require_green() {
	local package=$1 all="" patch words missing
	for patch in "${patches[@]}"; do
		read -r -a words <<<"$(header "$patch" Test)"
		if [ "${words[0]}" = "$package" ]; then
			all=${all:+$all|}${words[1]}
		fi
	done
	if ! run_tests "$package" "$all"; then
		grep -E '^ *--- FAIL|^panic|^FAIL|^#|^[^ ]+\.go:' "$log" | head -n 20
		echo "The tests of $package fail without any patch."
		exit 1
	fi
	for patch in "${patches[@]}"; do
		read -r -a words <<<"$(header "$patch" Test)"
		[ "${words[0]}" = "$package" ] || continue
		missing=$(without "${words[1]}" PASS)
		if [ -n "$missing" ]; then
			echo "$(basename "$patch"): there is no test $missing in $package, or it was skipped."
			exit 1
		fi
	done
}

# verdict says what became of the tests of the patch that is applied: of the package
# $1, the expression $2, and what the log must say, $3.
verdict() {
	local green
	if run_tests "$1" "$2"; then
		echo "STAYS GREEN without the rule: $2"
	elif grep -Eq '\[(build|setup) failed\]' "$log"; then
		echo "DOES NOT COMPILE: $(grep -E '\.go:[0-9]+' "$log" | head -n 1)"
	elif grep -q '^panic: test timed out' "$log"; then
		echo "TIMES OUT instead of failing: $2"
	elif ! grep -q '^--- FAIL: ' "$log"; then
		echo "ENDS without a failed test: $(grep -m 1 -E '^(panic|fatal error|FAIL)' "$log")"
	elif green=$(without "$2" FAIL) && [ -n "$green" ]; then
		echo "STAYS GREEN without the rule:" $green
	elif [ -n "$3" ] && ! grep -Eq -e "$3" "$log"; then
		echo "FAILS FOR ANOTHER REASON: no line matches $3"
	else
		echo "red"
	fi
}

for patch in "${patches[@]}"; do
	[ -n "$(header "$patch" Rule)" ] && [[ "$(header "$patch" Test)" =~ ^[^\ ]+\ [^\ ]+$ ]] && continue
	echo "$(basename "$patch"): its header must have a line 'Rule: <number>' and one 'Test: <package> <regular expression>'."
	exit 1
done
for package in $(for patch in "${patches[@]}"; do header "$patch" Test; done | cut -d ' ' -f 1 | sort -u); do
	require_green "$package"
done

failed=0
for patch in "${patches[@]}"; do
	read -r package expression <<<"$(header "$patch" Test)"
	if git apply "$patch" 2>"$log"; then
		outcome=$(verdict "$package" "$expression" "$(header "$patch" Says)")
		git apply -R "$patch"
	else
		outcome="NO LONGER APPLIES: $(head -n 1 "$log")"
	fi
	[ "$outcome" = red ] || failed=$((failed + 1))
	printf 'rule %-3s %-40s %s\n' "$(header "$patch" Rule)" "$(basename "$patch" .patch)" "$outcome"
done
echo "${#patches[@]} controls, $failed of them not red"
[ "$failed" = 0 ]
