#!/usr/bin/env bash
# Two later ceremonies after the quickstart, one with the signer stopped and one while it runs, and what auditors see.
set -euo pipefail
cd "$(dirname "$0")/../.."

scratch=$(mktemp -d)
signer_pid=
trap '[ -z "$signer_pid" ] || kill "$signer_pid" 2>/dev/null || true; rm -rf "$scratch"' EXIT
dir=$scratch/stele
fail() { echo "later-ceremony.sh: $*" >&2; exit 1; }

softhsm/quickstart --dir "$dir" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "the quickstart failed"; }
softhsm/later-ceremony --dir "$dir"
softhsm/quickstart --dir "$dir" --serve >"$scratch/serve.log" 2>&1 &
signer_pid=$!
. "$dir/state/ports"
for _ in $(seq 1 300); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$grpc_port") 2>/dev/null; then break; fi
    sleep 0.2
done
softhsm/later-ceremony --dir "$dir"
curl -sf "http://127.0.0.1:$http_port/crl/root.crl" | openssl crl -inform DER -noout -crlnumber | grep -qi '0x0*3' ||
    fail "the signer does not serve the third CRL of the root"
stele() {
    target/release/stele --server "https://localhost:$grpc_port" --ca "$dir/out/access-ca.pem" \
        --cert "$dir/state/auditor.pem" --key "$dir/state/auditor.key" --vkey "$dir/out/ledger.vkey" "$@"
}
stele audit export "$scratch/ledger" >/dev/null
stele audit verify "$scratch/ledger" --ceremony "$dir/ceremony-3" >"$scratch/audit" || { cat "$scratch/audit"; fail "the audit found something"; }
target/release/stele-ceremony verify "$dir/ceremony-3" --root "$dir/out/root.pem" --ledger "$scratch/ledger" \
    --vkey "$dir/out/ledger.vkey" >/dev/null || fail "the third transcript does not verify"
target/release/stele-ceremony verify "$dir/ceremony" --root "$dir/out/root.pem" --ledger "$scratch/ledger" \
    --vkey "$dir/out/ledger.vkey" >/dev/null || fail "the first transcript does not verify any more"
if [ "$(openssl x509 -in "$dir/out/issuing-ca-3.pem" -noout -pubkey)" != "$(openssl x509 -in "$dir/out/issuing-ca.pem" -noout -pubkey)" ]; then
    fail "a renewal changed the key"
fi
echo "later-ceremony.sh: passed"
