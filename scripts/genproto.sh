#!/usr/bin/env bash
# Regenerates the Go code of the .proto files under api/.
#
#   scripts/genproto.sh         write the generated files next to the .proto files
#   scripts/genproto.sh check   write nothing; fail when a generated file is stale
#
# Needs protoc on the PATH. The plugins are the versions that go.mod pins as
# tools, built into a temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/bin" "$tmp/out"
go build -o "$tmp/bin/" \
  google.golang.org/protobuf/cmd/protoc-gen-go \
  google.golang.org/grpc/cmd/protoc-gen-go-grpc

mapfile -t protos < <(find api -name '*.proto' | LC_ALL=C sort)
PATH="$tmp/bin:$PATH" protoc -I . \
  --go_out="$tmp/out" --go_opt=paths=source_relative \
  --go-grpc_out="$tmp/out" --go-grpc_opt=paths=source_relative \
  "${protos[@]}"

# The line that names the installed protoc is left out of the files, so that
# they do not depend on who generates them.
find "$tmp/out" -name '*.pb.go' -exec sed -i -E '/^\/\/ (- )?[[:space:]]*protoc +\(?v/d' {} +

if [ "${1:-}" = check ]; then
  stale=0
  while read -r f; do
    cmp -s "$tmp/out/$f" "$f" || { echo "stale: $f" >&2; stale=1; }
  done < <(cd "$tmp/out" && find api -name '*.pb.go' | LC_ALL=C sort)
  while read -r f; do
    [ -e "$tmp/out/$f" ] || { echo "no .proto file makes $f" >&2; stale=1; }
  done < <(find api -name '*.pb.go' | LC_ALL=C sort)
  exit "$stale"
fi
cp -r "$tmp/out/api" .
