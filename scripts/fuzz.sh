#!/usr/bin/env bash
# Runs every fuzz target of the module for a while, one after the other.
#
# The targets are asked for with `go test -list`, so a new one is picked up by
# itself. An input that fails is kept by the go command under the package's
# testdata/fuzz: commit it, it is a regression test from then on.
#
# Usage: scripts/fuzz.sh [package...]          (default: ./...)
# Environment: FUZZTIME, time per target (default 30s).
set -uo pipefail
cd "$(dirname "$0")/.."

fuzztime=${FUZZTIME:-30s}
packages=("$@")
[ ${#packages[@]} -gt 0 ] || packages=(./...)

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# fuzz runs target $2 of package $1. The go command can report the end of the
# fuzz time itself as a failure ("context deadline exceeded", without an
# input): that says nothing about the code, so such a run is repeated once.
fuzz() {
    local try
    for try in 1 2; do
        if go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" "$1" >"$log" 2>&1; then
            tail -n 1 "$log"
            return 0
        fi
        if grep -q 'Failing input written' "$log" || ! grep -q 'context deadline exceeded' "$log"; then
            break
        fi
    done
    cat "$log"
    return 1
}

# list prints "package target" for every fuzz target. `go test -list` prints
# the targets of a package first, and then a line "ok <package> <time>".
list() {
    go test -list '^Fuzz' "${packages[@]}" | awk '
        /^Fuzz/     { targets[++n] = $1; next }
        $1 == "ok"  { for (i = 1; i <= n; i++) print $2, targets[i]; n = 0 }'
}

targets=$(list) || { echo "fuzz: cannot list the targets" >&2; exit 1; }
if [ -z "$targets" ]; then
    echo "fuzz: no targets in ${packages[*]}"
    exit 0
fi

failed=0
while read -r package target; do
    echo "--- fuzz $package $target ($fuzztime)"
    fuzz "$package" "$target" || failed=$((failed + 1))
done <<<"$targets"

count=$(wc -l <<<"$targets")
echo "fuzz: $count targets, $failed failed"
[ "$failed" -eq 0 ]
