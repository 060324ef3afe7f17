#!/usr/bin/env bash
# Every record of a quickstart's two logs against the published JSON Schema, and the schema against what is no record.
#
#   hsm-tests/e2e/schema.sh [DIR]    DIR: what softhsm/quickstart made; without it, one is made here
set -euo pipefail
cd "$(dirname "$0")/../.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
dir=${1:-$scratch/stele}
[ -d "$dir" ] || softhsm/quickstart --dir "$dir" >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }

python=python3
if ! python3 -c 'import jsonschema' 2>/dev/null; then
    echo "installing: the Python package jsonschema, into a scratch environment"
    python3 -m venv "$scratch/venv"
    "$scratch/venv/bin/pip" install --quiet 'jsonschema>=4.10,<5'
    python=$scratch/venv/bin/python
fi
"$python" hsm-tests/e2e/schema.py signer/docs/record.schema.json "$dir/ledger" "$dir/ceremony/log"
echo "schema.sh: passed"
