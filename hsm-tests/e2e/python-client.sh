#!/usr/bin/env bash
# A client in Python, generated from the proto files alone: it signs, is refused, reads the ledger, and verifies every
# proof with code of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
. hsm-tests/e2e/lib.bash

python_with hsm-tests/e2e/python/requirements-client.txt
mkdir "$scratch/generated"
"$scratch/venv/bin/python" -m grpc_tools.protoc -I proto --python_out="$scratch/generated" --grpc_python_out="$scratch/generated" \
    proto/stele/v1/*.proto || fail "no code could be generated from the proto files"
serve
PYTHONPATH=$scratch/generated "$scratch/venv/bin/python" hsm-tests/e2e/python/client.py "$dir" "localhost:$grpc_port" || fail "the client found a fault"
say "passed"
