# Checks by openssl and by the auditor's own tools, from the files that were handed out.

export_ledger() {
    step "12. The signer's log, exported for the auditor"
    stele_as auditor --vkey "$dir/out/ledger.vkey" audit export "$dir/ledger" >>"$dir/state/cluster.log" || die "stele audit export failed; see above"
    stop_signer
    say "$(sed -n 2p "$dir/ledger/checkpoint") records, as static tiles"
}

# verify_chain NAME PURPOSE
verify_chain() {
    openssl verify -x509_strict -purpose "$2" -CAfile "$dir/out/root.pem" -untrusted "$dir/out/$1-chain.pem" "$dir/out/$1.pem" \
        >>"$dir/state/cluster.log" 2>&1 || die "openssl verify $1: $(tail -n 3 "$dir/state/cluster.log")"
}

# crl_verdict NAME: what openssl says of a leaf of the issuing CA, CRLs considered.
crl_verdict() {
    cat "$dir/out/root.crl.pem" "$dir/out/issuing-ca.crl.pem" >"$dir/state/crls.pem"
    openssl verify -x509_strict -crl_check_all -CAfile "$dir/out/root.pem" -untrusted "$dir/out/$1-chain.pem" \
        -CRLfile "$dir/state/crls.pem" "$dir/out/$1.pem" 2>&1 || true
}

check_everything() {
    step "13. Checks"
    for ca in cluster-ca issuing-ca etcd-ca front-proxy-ca access-ca; do
        openssl verify -x509_strict -crl_check -CAfile "$dir/out/root.pem" -CRLfile "$dir/out/root.crl.pem" "$dir/out/$ca.pem" \
            >>"$dir/state/cluster.log" 2>&1 || die "openssl verify $ca: $(tail -n 3 "$dir/state/cluster.log")"
    done
    for pair in kube-apiserver:sslserver kubelet-serving:sslserver kubelet-client:sslclient etcd-peer:sslserver etcd-peer:sslclient \
        front-proxy-client:sslclient spiffe-workload:sslserver spiffe-workload:sslclient app-pod:sslserver app-pod:sslclient; do
        verify_chain "${pair%:*}" "${pair#*:}"
    done
    openssl verify -x509_strict -CAfile "$dir/out/root.pem" -untrusted "$dir/out/in-cluster-ca-chain.pem" "$dir/out/in-cluster-ca.pem" \
        >>"$dir/state/cluster.log" 2>&1 || die "openssl verify in-cluster-ca: $(tail -n 3 "$dir/state/cluster.log")"
    say "openssl verify -x509_strict: accepts every chain, each for its purpose"
    crl_verdict kube-apiserver-old | grep -q 'certificate revoked' || die "openssl does not see the revocation: $(crl_verdict kube-apiserver-old)"
    crl_verdict kube-apiserver | grep -q ': OK$' || die "openssl refuses a good leaf: $(crl_verdict kube-apiserver)"
    say "openssl verify -crl_check_all: refuses kube-apiserver-old, accepts kube-apiserver"
    run_check stele audit verify "$dir/ledger" --vkey "$dir/out/ledger.vkey"
    run_check stele audit check-proof "$dir/out/kube-apiserver.tlog-proof" "$dir/out/kube-apiserver.pem" --vkey "$dir/out/ledger.vkey"
    run_check stele-ceremony verify "$dir/ceremony" --root "$dir/out/root.pem" --ledger "$dir/ledger" --vkey "$dir/out/ledger.vkey"
}

# run_check BINARY ARGS...: shows the command and its last line.
run_check() {
    say "\$ $*"
    local binary=$1
    shift
    "$bin/$binary" "$@" >"$dir/state/check.log" 2>&1 || die "$binary: $(tail -n 20 "$dir/state/check.log")"
    sed 's/^/      /' "$dir/state/check.log" | tail -n 4
}

summary() {
    step "Done"
    cat <<EOF
  $dir/out        root and five CAs, CRLs, eight leaves and an in-cluster CA, each with chain and proof; ledger.vkey
  $dir/ledger     the signer's log: a transparency log in static tiles (C2SP tlog-tiles)
  $dir/ceremony   the transcript of the root ceremony, verifiable years later
  $dir/state      tokens, PINs, keys and configurations of this demonstration

  Try next:
    softhsm/quickstart --dir $dir --serve
    $bin/stele audit verify $dir/ledger --vkey $dir/out/ledger.vkey
    openssl x509 -in $dir/out/app-pod.pem -noout -text
EOF
}
