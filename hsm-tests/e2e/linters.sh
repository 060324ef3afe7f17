#!/usr/bin/env bash
# A public linter, pkilint, over every certificate, every pair of issuer and subject, and every CRL of the quickstart.
set -euo pipefail
cd "$(dirname "$0")/../.."
. hsm-tests/e2e/lib.bash

python_with hsm-tests/e2e/python/requirements-linters.txt
make_hierarchy
"$scratch/venv/bin/python" hsm-tests/e2e/python/lint.py "$dir"
say "passed"
