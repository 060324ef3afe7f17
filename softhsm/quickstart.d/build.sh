# What the quickstart needs on the machine, and the binaries.

install_tools() {
    for tool in cargo openssl ssh-keygen; do
        command -v "$tool" >/dev/null || die "$tool is not installed; install it with your package manager (cargo: with Rust), then run again"
    done
    step "1. SoftHSM, which stands in for the hardware"
    "$repo/softhsm/install"
}

# Release mode, with cargo's own progress on the terminal.
build() {
    step "2. Build"
    cargo build --release --locked --bins --manifest-path "$repo/Cargo.toml"
    bin=${CARGO_TARGET_DIR:-$repo/target}/release
    for binary in stele stele-signer stele-keeper stele-ceremony; do
        [ -x "$bin/$binary" ] || die "$bin/$binary was not built"
    done
}
