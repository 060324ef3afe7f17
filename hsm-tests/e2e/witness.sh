#!/usr/bin/env bash
# Witnesses of another make, in Go on golang.org/x/mod/sumdb, and the real signer between them: cosignatures, every fault,
# lag, halts, a log that was set back.
set -euo pipefail
cd "$(dirname "$0")/../.."
. hsm-tests/e2e/lib.bash

go_toolchain
(cd hsm-tests/e2e/witness && go vet ./... && go build -o "$scratch/witness" .) || fail "the witness does not build"
target/release/stele-witness-trial "$scratch/witness" || fail "the trial failed"
say "passed"
