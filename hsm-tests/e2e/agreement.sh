#!/usr/bin/env bash
# How far our lints and pkilint agree, over thousands of certificates: random ones under every preset, and altered ones
# that our lints let pass.
#
#   hsm-tests/e2e/agreement.sh [COUNT]    COUNT: certificates under the presets (default 3000)
set -euo pipefail
cd "$(dirname "$0")/../.."
. hsm-tests/e2e/lib.bash

policy=${CARGO_TARGET_DIR:-target}/release/stele-policy
[ -x "$policy" ] || cargo build --release --locked --workspace --bins
python_with hsm-tests/e2e/python/requirements-linters.txt
"$policy" certificates "${1:-3000}" "$scratch/certificates"
"$scratch/venv/bin/python" hsm-tests/e2e/python/agreement.py "$scratch/certificates"
say "passed"
