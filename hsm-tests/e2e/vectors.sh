#!/usr/bin/env bash
# The test vectors of the Python package cryptography-vectors (CSRs, certificates, PKITS) and alterations of all of them,
# into every parser of requests and certificates: no panic, each refusal with its reason, none slower than 5 ms.
set -euo pipefail
cd "$(dirname "$0")/../.."
. hsm-tests/e2e/lib.bash

policy=${CARGO_TARGET_DIR:-target}/release/stele-policy
[ -x "$policy" ] || cargo build --release --locked --workspace --bins
python_with hsm-tests/e2e/python/requirements-vectors.txt
vectors=$("$scratch/venv/bin/python" -c 'import cryptography_vectors, pathlib; print(pathlib.Path(cryptography_vectors.__file__).parent)')
found=$(find "$vectors/x509" -type f | wc -l)
[ "$found" -ge 500 ] || fail "found $found files; the package has another layout"
"$policy" judge "$vectors/x509" "$vectors/asymmetric/public" "$vectors/asymmetric/DER_Serialization" hsm-tests/fuzz/seeds >"$scratch/judged" 2>&1 || { tail -n 30 "$scratch/judged"; fail "see above"; }
tail -n 2 "$scratch/judged"
say "passed"
