#!/usr/bin/env bash
# The commands that `quickstart --serve` prints, run as they are printed: grpcurl finds the services by reflection.
set -euo pipefail
cd "$(dirname "$0")/../.."
. hsm-tests/e2e/lib.bash

go_toolchain
say "go install grpcurl"
GOBIN=$scratch/bin go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3 || fail "grpcurl could not be built"
PATH=$scratch/bin:$PATH
serve

commands=$(sed -n 's/^ *\(grpcurl .*\|curl .*\|.*stele .* profile list\)$/\1/p' "$scratch/serve.log")
[ "$(wc -l <<<"$commands")" = 5 ] || fail "not the five commands: $commands"
while read -r command; do
    say "\$ $command"
    bash -c "$command" </dev/null >"$scratch/output" || fail "the command failed"
    [ -s "$scratch/output" ] || fail "the command printed nothing"
    case $command in
    grpcurl*list)
        for service in Signing Request Profile Trust Stop Authority Ledger; do
            grep -qx "stele.v1.${service}Service" "$scratch/output" || fail "reflection does not list ${service}Service: $(cat "$scratch/output")"
        done
        grep -qx grpc.health.v1.Health "$scratch/output" || fail "reflection does not list the health service"
        ;;
    grpcurl*ListProfiles) grep -q '"name": "spiffe-workload"' "$scratch/output" || fail "no profile: $(cat "$scratch/output")" ;;
    *"profile list") grep -q spiffe-workload "$scratch/output" || fail "no profile: $(cat "$scratch/output")" ;;
    esac
done <<<"$commands"
say "passed"
