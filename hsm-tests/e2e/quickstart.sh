#!/usr/bin/env bash
# The quickstart, as the README tells a new user to run it, and what it promises to leave behind.
set -euo pipefail
cd "$(dirname "$0")/../.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
dir=$scratch/stele
fail() { echo "quickstart.sh: $*" >&2; exit 1; }

softhsm/quickstart --dir "$dir" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "the quickstart failed"; }
tail -n 12 "$scratch/log"

for name in root cluster-ca issuing-ca etcd-ca front-proxy-ca access-ca; do
    [ -s "$dir/out/$name.pem" ] || fail "out/$name.pem is missing"
    [ -s "$dir/out/$name.crl.pem" ] || fail "out/$name.crl.pem is missing"
done
for name in kube-apiserver kubelet-serving kubelet-client etcd-peer front-proxy-client spiffe-workload app-pod in-cluster-ca; do
    for file in "$name.pem" "$name-chain.pem" "$name.tlog-proof"; do
        [ -s "$dir/out/$file" ] || fail "out/$file is missing"
    done
    target/release/stele audit check-proof "$dir/out/$name.tlog-proof" "$dir/out/$name.pem" --vkey "$dir/out/ledger.vkey" >/dev/null ||
        fail "the proof of $name does not verify"
done
[ "$(ls "$dir/ledger" | tr '\n' ' ')" = "checkpoint tile " ] || fail "ledger/ holds something else than checkpoint and tile/"

# Nothing secret where it does not belong: the PINs stand in their own files and nowhere else.
for pin in "$dir"/state/*/pin "$dir"/state/*/so-pin; do
    [ "$(stat -c %a "$pin")" = 600 ] || fail "$pin is not of mode 0600"
    if grep -rlF -- "$(cat "$pin")" "$dir" "$scratch/log" | grep -vE '/(so-)?pin$' | grep .; then
        fail "a PIN stands in another file"
    fi
done

# Another proof, another certificate: the check must fail.
if target/release/stele audit check-proof "$dir/out/app-pod.tlog-proof" "$dir/out/kube-apiserver.pem" --vkey "$dir/out/ledger.vkey" >/dev/null 2>&1; then
    fail "a proof was accepted for another certificate"
fi

# A directory that holds a hierarchy is refused and left untouched.
before=$(cd "$dir" && find . -type f -exec sha256sum {} + | sort | sha256sum)
if softhsm/quickstart --dir "$dir" >"$scratch/again" 2>&1; then
    fail "a second run was not refused"
fi
grep -q 'already holds a hierarchy' "$scratch/again" || fail "the refusal does not say why: $(cat "$scratch/again")"
[ "$before" = "$(cd "$dir" && find . -type f -exec sha256sum {} + | sort | sha256sum)" ] || fail "the refused run touched files"
echo "quickstart.sh: passed"
