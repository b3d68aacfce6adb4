#!/usr/bin/env bash
# Looks for known vulnerabilities in the code that is really called.
#
# govulncheck fetches its database over the network. A machine that cannot
# reach the database gets one loud line and exit status 0, and only for that
# reason: findings, and every other error, fail.
#
# Usage: scripts/vulncheck.sh [package...]     (default: ./...)
# Environment: GOVULNDB, URL of another database (https:// or file://).
set -uo pipefail
cd "$(dirname "$0")/.."

packages=("$@")
[ ${#packages[@]} -gt 0 ] || packages=(./...)

log=$(mktemp)
trap 'rm -f "$log"' EXIT

go tool govulncheck ${GOVULNDB:+-db "$GOVULNDB"} "${packages[@]}" >"$log" 2>&1
status=$?

# Exit status 1 is an error of the tool itself, 3 is a finding. An error of
# the transport, as opposed to an answer of the database, reads
# `fetching vulnerabilities: Get "URL": dial tcp: ...`.
if [ "$status" -eq 1 ] && grep -q '^govulncheck: fetching vulnerabilities: Get "' "$log"; then
    reason=$(sed -n 's/^govulncheck: fetching vulnerabilities: Get "[^"]*": //p' "$log" | head -n 1)
    echo "WARNING: NO VULNERABILITY CHECK WAS DONE: the vulnerability database cannot be reached ($reason)"
    exit 0
fi
cat "$log"
exit "$status"
