#!/usr/bin/env bash
# House rules that no linter knows: a list of greps, so that nobody argues.
#
# Each breach is printed as file:line: rule. A line that has a good reason
# carries it in a comment: `// house: why`. Generated code is exempt.
#
# Usage: scripts/house-rules.sh
set -uo pipefail
cd "$(dirname "$0")/.."

generated='\.pb\.go$|_string\.go$'
mapfile -t all < <(find . -name .git -prune -o -path ./bin -prune -o -name testdata -prune -o -type f -name '*.go' -print | grep -Ev "$generated" | sort)
mapfile -t tests < <(printf '%s\n' "${all[@]}" | grep '_test\.go$')
mapfile -t code < <(printf '%s\n' "${all[@]}" | grep -v '_test\.go$')
mapfile -t mains < <([ ${#code[@]} -eq 0 ] || grep -lE '^package main$' "${code[@]}")
# libs are what is linked into the daemon; test support is free in what it prints.
mapfile -t libs < <(comm -23 <(printf '%s\n' "${code[@]}") <(printf '%s\n' "${mains[@]}" | sort) | grep -v '^\./internal/testredis/')

breaches=0

# rule TEXT REGEX FILE... reports the lines that match the extended regular
# expression, comment lines and excused ones left out.
rule() {
    local text=$1 regex=$2 hits
    shift 2
    [ $# -gt 0 ] && [ -n "$1" ] || return 0
    hits=$(grep -HnE -- "$regex" "$@" | grep -vE '^[^:]+:[0-9]+:[[:space:]]*//|// house: ')
    [ -n "$hits" ] || return 0
    awk -v text="$text" -F: '{ file = $1; sub(/^\.\//, "", file); print file ":" $2 ": " text }' <<<"$hits"
    breaches=$((breaches + $(wc -l <<<"$hits")))
}

# Tests. Inside a synctest bubble the clock is a fake, and sleeping is how it moves.
mapfile -t clocked < <([ ${#tests[@]} -eq 0 ] || grep -L '"testing/synctest"' "${tests[@]}")
rule 'no time.Sleep in tests: wait on a signal, or poll with a deadline' 'time\.Sleep\(' "${clocked[@]}"
rule 'no test is skipped for want of a server: install it, or fail' '\.Skipf?\(.*([Rr]edis|[Vv]alkey|twemproxy|nutcracker|PATH|installed|not found|missing)' "${tests[@]}"

# Wiring.
rule 'no init(): wire things up in main' '^func init\(\)' "${all[@]}"
rule 'no blank imports outside main packages: wire things up in main' '^(import )?[[:space:]]*_ "[^"]*[./]' "${libs[@]}"
rule 'no default HTTP client, mux or server: they have no limits' 'http\.(Get|Post|PostForm|Head|Handle|HandleFunc|ListenAndServe|Default[A-Z][A-Za-z]*)\b' "${code[@]}"
rule 'only main ends the process' '(os\.Exit|syscall\.Exit|log\.Fatal[a-z]*)\(' "${libs[@]}"

# Durations are added up in the procs, and one of centuries leaves no room for that.
mapfile -t procs < <(printf '%s\n' "${code[@]}" | grep '^\./proc/')
rule 'config.Duration, not AsDuration: it leaves room to add' '\.AsDuration\(\)' "${procs[@]}"

# Output and errors.
rule 'no printing outside main packages: use the injected slog.Logger' '(\bfmt\.(Print(f|ln)?\(|Fprint(f|ln)?\(os\.Std)|^[[:space:]]*print(ln)?\()' "${libs[@]}"
rule 'log/slog, not log' '^(import )?[[:space:]]*"log"$' "${all[@]}"
rule 'errors are told apart by errors.Is and errors.As, not by their text' '(err|Err)\.Error\(\) *[!=]=|strings\.(Contains|HasPrefix|HasSuffix|EqualFold)\((err|[a-z]+Err)\.Error\(\)' "${code[@]}"
rule 'panic is for broken invariants, with a constant text' '\bpanic\([^"`)]' "${libs[@]}"

# Dependencies.
rule 'math/rand/v2, not math/rand' '"math/rand"$' "${all[@]}"

# Leftovers.
rule 'no leftovers: do it or leave it' '\b(TODO|FIXME|XXX)\b' "${all[@]}"
hits=$(grep -nE '\b(TODO|FIXME|XXX)\b' "${all[@]}" /dev/null | grep -E ':[0-9]+:[[:space:]]*//')
if [ -n "$hits" ]; then
    sed -E 's|^(\./)?([^:]+:[0-9]+):.*|\2: no leftovers: do it or leave it|' <<<"$hits"
    breaches=$((breaches + $(wc -l <<<"$hits")))
fi

if [ "$breaches" -gt 0 ]; then
    echo "house-rules: $breaches line(s) to mend"
    exit 1
fi
echo "house-rules: ${#all[@]} files, nothing to mend"
