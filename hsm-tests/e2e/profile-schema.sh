#!/usr/bin/env bash
# The JSON Schemas for profiles and authority.toml against the strict parser, both ways: what Stele takes an editor must
# not underline, and what is wrong by its form both refuse.
set -euo pipefail
cd "$(dirname "$0")/../.."
. hsm-tests/e2e/lib.bash

stele=${CARGO_TARGET_DIR:-target}/release/stele
[ -x "$stele" ] || cargo build --release --locked --workspace --bins
python_with hsm-tests/e2e/python/requirements-schema.txt
"$scratch/venv/bin/python" hsm-tests/e2e/python/profile_schema.py "$stele" signer/docs signer/presets softhsm/demo/authority.toml "$scratch"
say "passed"
