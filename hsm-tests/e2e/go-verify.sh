#!/usr/bin/env bash
# Go's own implementations over what the quickstart left: the ledger, the chains, the CRLs, and the signer's handshake.
set -euo pipefail
cd "$(dirname "$0")/../.."
. hsm-tests/e2e/lib.bash

go_toolchain
serve
(cd hsm-tests/e2e/go && go vet ./... && go test -count=1 -v ./... -args -dir "$dir" -address "localhost:$grpc_port") >"$scratch/go.log" 2>&1 ||
    { cat "$scratch/go.log"; fail "Go found a fault"; }
grep -E '^(---|ok|    ledger_test)' "$scratch/go.log"
say "passed"
