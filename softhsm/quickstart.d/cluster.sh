# Certificates as a cluster has them, from CSRs made with openssl.

# csr NAME SUBJECT [SANS]: a P-256 key and a CSR.
csr() {
    local san=()
    [ -z "${3:-}" ] || san=(-addext "subjectAltName=$3")
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/state/$1.key" -subj "$2" \
        ${san[@]+"${san[@]}"} -out "$dir/state/$1.csr" 2>>"$dir/state/cluster.log"
}

# sign NAME PROFILE ARGS...: one certificate into out/.
sign() {
    local name=$1 profile=$2
    shift 2
    stele_as caller --vkey "$dir/out/ledger.vkey" sign --profile "$profile" --csr "$dir/state/$name.csr" --request-id "quickstart:$name" \
        --out "$dir/out/$name.pem" "$@" >>"$dir/state/cluster.log" || die "stele sign $name failed; see above"
    say "$name: $(openssl x509 -in "$dir/out/$name.pem" -noout -issuer | sed 's/.*CN = //')"
}

sign_leaves() {
    step "8. Certificates for a cluster, each under the CA that it belongs to"
    sed -n 's/^  "vkey": "\(.*\)",$/\1/p' "$dir/state/signer-request.json" >"$dir/out/ledger.vkey"
    csr kube-apiserver /CN=kube-apiserver DNS:kubernetes,DNS:kubernetes.default.svc.cluster.local,DNS:api.demo.example,IP:10.96.0.1
    sign kube-apiserver kube-apiserver-serving
    csr kube-apiserver-old /CN=kube-apiserver DNS:kubernetes,DNS:old.demo.example
    sign kube-apiserver-old kube-apiserver-serving
    csr kubelet-serving /O=system:nodes/CN=system:node:node-1 DNS:node-1.demo.example,IP:10.0.0.11
    sign kubelet-serving kubelet-serving --context requester=system:node:node-1 --context node=node-1
    csr kubelet-client /O=system:nodes/CN=system:node:node-1
    sign kubelet-client kubelet-client
    csr etcd-peer /CN=a.etcd.demo.example DNS:a.etcd.demo.example,DNS:localhost,IP:10.0.0.21
    sign etcd-peer etcd-peer
    csr front-proxy-client /CN=front-proxy-client
    sign front-proxy-client front-proxy-client
    csr spiffe-workload / URI:spiffe://cluster.local/ns/shop/sa/cart
    sign spiffe-workload spiffe-workload --context namespace=shop --context service_account=cart
    csr app-pod /
    sign app-pod pod --context namespace=shop --context service_account=web --context pod=web-0 --context pod_uid=0b1c2d3e
}

issue_intermediate() {
    step "9. An intermediate for a CA inside the cluster: asked for by the caller, approved by the operator"
    csr in-cluster-ca "/CN=cert-manager CA"
    stele_as caller sign --profile cluster-intermediate --csr "$dir/state/in-cluster-ca.csr" --request-id quickstart:in-cluster-ca \
        --out "$dir/out/in-cluster-ca.pem" >"$dir/state/pending.log" || die "the intermediate was refused; see above"
    say "pending: $(head -n 1 "$dir/state/pending.log")"
    stele_as operator --vkey "$dir/out/ledger.vkey" request approve quickstart:in-cluster-ca \
        --caller uri:spiffe://stele/caller/cluster-signer --operator olga --ssh-key "$dir/state/olga" --yes \
        >>"$dir/state/cluster.log" 2>&1 || die "stele request approve: $(tail -n 3 "$dir/state/cluster.log")"
    stele_as caller --vkey "$dir/out/ledger.vkey" request get quickstart:in-cluster-ca --out "$dir/out/in-cluster-ca.pem" \
        >>"$dir/state/cluster.log" || die "stele request get failed; see above"
    say "in-cluster-ca: issued by $(openssl x509 -in "$dir/out/in-cluster-ca.pem" -noout -issuer | sed 's/.*CN = //'), approved with ssh-keygen"
}

show_refusal() {
    step "10. A refused CSR, with every violation"
    csr refused "/O=system:masters/CN=admin" DNS:bank.example.com,IP:8.8.8.8
    if stele_as caller sign --profile kubelet-serving --csr "$dir/state/refused.csr" --request-id quickstart:refused \
        --context requester=system:node:node-1 --context node=node-1 --out "$dir/state/refused.pem" >"$dir/state/refused.log" 2>&1; then
        die "the CSR was not refused"
    fi
    sed 's/^/  /' "$dir/state/refused.log"
}

revoke_one() {
    step "11. Revocation of kube-apiserver-old"
    local serial
    serial=$(openssl x509 -in "$dir/out/kube-apiserver-old.pem" -noout -serial | cut -d= -f2 | tr 'A-F' 'a-f')
    stele_as operator revoke --issuer issuing-ca --serial "$serial" --reason superseded >>"$dir/state/cluster.log" || die "stele revoke failed; see above"
    for ca in issuing-ca cluster-ca etcd-ca front-proxy-ca access-ca; do
        stele_as caller trust crl "$ca" --out "$dir/out/$ca.crl.pem" >>"$dir/state/cluster.log" || die "stele trust crl $ca failed; see above"
    done
    say "revoked; the next CRL lists it"
}
