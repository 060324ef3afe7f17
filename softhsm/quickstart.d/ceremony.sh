# Tokens, the signer's keys, and the root ceremony.

# new_pin FILE: a random PIN that is never shown.
new_pin() {
    (umask 077 && head -c 18 /dev/urandom | base64 >"$1")
}

make_tokens() {
    step "3. Two tokens, as different as two devices: one for the offline root, one for the online signer"
    for side in root signer; do
        mkdir -p "$dir/state/$side"
        module=$("$repo/softhsm/token-env" "$dir/state/$side")
        new_pin "$dir/state/$side/pin"
        new_pin "$dir/state/$side/so-pin"
    done
    say "PKCS#11 module: $module"
    say "PINs: random, in files of mode 0600 under $dir/state"
    step "4. The signer's keys, made in its token, and its request to the ceremony"
    write_keeper_config
    SOFTHSM2_CONF=$dir/state/signer/softhsm2.conf "$bin/stele-keeper" init \
        --config "$dir/state/signer/keeper.toml" --request-out "$dir/state/signer-request.json" \
        2>"$dir/state/keeper-init.log" || die "stele-keeper init: $(tail -n 3 "$dir/state/keeper-init.log")"
    say "cluster-ca (P-384), issuing-ca, etcd-ca, front-proxy-ca, access-ca (P-256), and the log's Ed25519 key"
}

write_keeper_config() {
    {
        cat <<EOF
origin = "signer.stele.example/1"
purpose = "signer"
socket = "keeper.sock"
ledger = "ledger.db"

[token]
module = "$module"
label = "stele-signer"
pin_file = "pin"
so_pin_file = "so-pin"

[checkpoint_key]
name = "checkpoint"
algorithm = "ed25519"
EOF
        for key in cluster-ca:ec-p384 issuing-ca:ec-p256 etcd-ca:ec-p256 front-proxy-ca:ec-p256 access-ca:ec-p256; do
            printf '\n[[ca_key]]\nname = "%s"\nalgorithm = "%s"\ncommon_name = "%s"\n' "${key%:*}" "${key#*:}" "${key%:*}"
        done
    } >"$dir/state/signer/keeper.toml"
}

# The presets, with the demonstration's names in them, and an authority with one operator.
write_authority() {
    authority=$dir/state/authority
    mkdir -p "$authority/profiles"
    ssh-keygen -q -t ed25519 -N '' -C olga -f "$dir/state/olga"
    sed "s|@olga-ssh-key|$(cat "$dir/state/olga.pub")|" "$repo/softhsm/demo/authority.toml" >"$authority/authority.toml"
    for preset in "$repo"/signer/presets/profiles/*.toml; do
        sed -e 's/kubernetes-ca/issuing-ca/g' -e 's/operator-alice/operator-olga/g' -e 's|http://stele\.example\.org/|http://127.0.0.1:'"$http_port"'/|g' \
            -e 's/"stele\.example\.org", //' -e 's/etcd-peer\.example\.org/etcd.demo.example/' -e 's/example\.org/demo.example/g' \
            "$preset" >"$authority/profiles/$(basename "$preset")"
    done
    # etcd's own names, not those of the whole demonstration.
    sed -i 's/"\*\.demo\.example", "localhost"/"*.etcd.demo.example", "localhost"/' "$authority"/profiles/etcd-*.toml
}

hold_ceremony() {
    step "5. The root ceremony, offline, from one reviewed script: softhsm/demo/ceremony.toml"
    write_authority
    local work=$dir/state/ceremony log=$dir/state/ceremony.log
    export SOFTHSM2_CONF=$dir/state/root/softhsm2.conf
    ceremony() { "$bin/stele-ceremony" "$@" >>"$log" 2>&1 || die "stele-ceremony $1: $(tail -n 5 "$log")"; }
    ceremony check --script "$repo/softhsm/demo/ceremony.toml"
    ceremony init --script "$repo/softhsm/demo/ceremony.toml" --dir "$work" --module "$module" \
        --pin-file "$dir/state/root/pin" --so-pin-file "$dir/state/root/so-pin"
    say "root key: P-384, made in the root token"
    ceremony plan --dir "$work" --request "$dir/state/signer-request.json" --authority "$authority" --clock-confirmed
    say "plan: every byte to be signed, drawn beforehand"
    ssh-keygen -q -Y sign -n stele-bundle -f "$dir/state/olga" "$work/to-sign/bundle.txt" 2>>"$log"
    ssh-keygen -q -Y sign -n stele-plan -f "$dir/state/olga" "$work/to-sign/plan.txt" 2>>"$log"
    say "bundle and plan: signed by the operator's SSH key"
    ceremony run --dir "$work" --bundle-sig "$work/to-sign/bundle.txt.sig" --plan-sig "$work/to-sign/plan.txt.sig" \
        --confirm "$(sha256sum "$work/transcript/plan.json" | cut -d" " -f1)"
    say "root, five intermediates and the root's CRL: signed; transcript and hand-over written"
    unset SOFTHSM2_CONF
    cp -R "$work/transcript" "$dir/ceremony"
    for certificate in root cluster-ca issuing-ca etcd-ca front-proxy-ca access-ca; do
        cp "$dir/ceremony/$certificate.pem" "$dir/out/"
    done
    cp "$dir/ceremony/root.crl.pem" "$dir/out/"
}
