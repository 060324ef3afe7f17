# The online signer: its configuration, its life, and the people who may talk to it.

start_signer() {
    step "6. The online signer: import of the hand-over, then the daemon with its keeper"
    local first_bundle
    first_bundle=$(sha256sum "$dir/ceremony/bundle.json" | cut -d' ' -f1)
    # What an administrator does with the ceremony's minutes in hand.
    { echo "first_bundle = \"$first_bundle\""; cat "$dir/state/signer/keeper.toml"; } >"$dir/state/signer/keeper.toml.new"
    mv "$dir/state/signer/keeper.toml.new" "$dir/state/signer/keeper.toml"
    write_signer_config
    signer_command import "$dir/state/ceremony/handover.json"
    say "hand-over: checked and recorded; two logs hold each other's checkpoints"
    run_signer
    say "gRPC on 127.0.0.1:$grpc_port (mTLS, TLS 1.3), CRLs on http://127.0.0.1:$http_port, tiles for auditors on https://localhost:$tiles_port"
}

# free_port FIRST: the first port from FIRST on at which nobody listens.
free_port() {
    local port=$1
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        port=$((port + 1))
    done
    echo "$port"
}

# Chosen once for a directory: certificates name the URL of the CRLs.
choose_ports() {
    grpc_port=$(free_port 9443)
    http_port=$(free_port $((grpc_port + 37)))
    tiles_port=$(free_port $((http_port + 1)))
    printf 'grpc_port=%s\nhttp_port=%s\ntiles_port=%s\n' "$grpc_port" "$http_port" "$tiles_port" >"$dir/state/ports"
}

write_signer_config() {
    cat >"$dir/state/signer/signer.toml" <<EOF
index = "index.db"

[keeper]
socket = "keeper.sock"
spawn = { binary = "$bin/stele-keeper", config = "keeper.toml" }

[grpc]
listen = "127.0.0.1:$grpc_port"
server_key = "server.key"
server_cert = "server.pem"

[http]
listen = "127.0.0.1:$http_port"

[tiles]
listen = "127.0.0.1:$tiles_port"

[local]
socket = "signer.sock"
EOF
}

# signer_command COMMAND ARGS...: stele-signer with the signer's configuration and token.
signer_command() {
    local command=$1
    shift
    SOFTHSM2_CONF=$dir/state/signer/softhsm2.conf "$bin/stele-signer" "$command" "$@" \
        --config "$dir/state/signer/signer.toml" >>"$dir/state/signer.log" 2>&1 ||
        die "stele-signer $command: $(tail -n 3 "$dir/state/signer.log")"
}

run_signer() {
    for port in $grpc_port $http_port $tiles_port; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            die "port $port of 127.0.0.1 is in use; stop what listens there, then run again"
        fi
    done
    SOFTHSM2_CONF=$dir/state/signer/softhsm2.conf "$bin/stele-signer" run --config "$dir/state/signer/signer.toml" \
        >>"$dir/state/signer.log" 2>&1 &
    signer_pid=$!
    for _ in $(seq 1 300); do
        # It is ready when its port for gRPC is open: it listens last.
        if (exec 3<>"/dev/tcp/127.0.0.1/$grpc_port") 2>/dev/null; then
            return 0
        fi
        kill -0 "$signer_pid" 2>/dev/null || die "stele-signer ended: $(tail -n 3 "$dir/state/signer.log")"
        sleep 0.1
    done
    die "stele-signer does not listen; see $dir/state/signer.log"
}

stop_signer() {
    if [ -n "${signer_pid:-}" ]; then
        kill "$signer_pid" 2>/dev/null || true
        wait "$signer_pid" 2>/dev/null || true
        signer_pid=
    fi
}

# enrol NAME PROFILE URI: a key, a CSR, and the client certificate of someone whom the bundle lists.
enrol() {
    "$bin/stele" csr new --algorithm ec-p256 --san "uri:$3" --key-out "$dir/state/$1.key" --out "$dir/state/$1.csr" >>"$dir/state/cluster.log"
    signer_command enrol --profile "$2" --csr "$dir/state/$1.csr" --san "uri:$3" --out "$dir/state/$1.pem"
}

enrol_people() {
    step "7. Client certificates from the access CA, for those whom the bundle lists"
    enrol operator operator spiffe://stele/operator/olga
    enrol caller caller spiffe://stele/caller/cluster-signer
    enrol auditor caller spiffe://stele/caller/auditor
    say "operator (olga), caller (cluster-signer), auditor"
}

# stele_as WHO ARGS...: the command line as one of them.
stele_as() {
    local who=$1
    shift
    "$bin/stele" --server "https://localhost:$grpc_port" --ca "$dir/out/access-ca.pem" \
        --cert "$dir/state/$who.pem" --key "$dir/state/$who.key" "$@"
}

serve_forever() {
    step "Serving until Ctrl-C"
    trap 'stop_signer' EXIT
    . "$dir/state/ports"
    [ -n "${signer_pid:-}" ] || run_signer
    cat <<EOF
  As the cluster's signer, e.g. which profiles may I use:
    $bin/stele --server https://localhost:$grpc_port --ca $dir/out/access-ca.pem --cert $dir/state/caller.pem --key $dir/state/caller.key profile list
  The same with grpcurl (reflection is on):
    grpcurl -cacert $dir/out/access-ca.pem -cert $dir/state/caller.pem -key $dir/state/caller.key localhost:$grpc_port list
    grpcurl -cacert $dir/out/access-ca.pem -cert $dir/state/caller.pem -key $dir/state/caller.key localhost:$grpc_port stele.v1.ProfileService/ListProfiles
  The issuing CA's CRL, for anybody; the log's tiles, for the auditor:
    curl http://127.0.0.1:$http_port/crl/issuing-ca.crl
    curl --cacert $dir/out/access-ca.pem --cert $dir/state/auditor.pem --key $dir/state/auditor.key https://localhost:$tiles_port/checkpoint
EOF
    wait "$signer_pid"
}
