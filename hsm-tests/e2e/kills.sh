#!/usr/bin/env bash
# Some rounds of `hsm-tests/kills`: the command itself works, and nothing is unrecorded or lost.
set -euo pipefail
cd "$(dirname "$0")/../.."

last=$(hsm-tests/kills --rounds 12 --seed 7 | tail -n 1)
echo "$last"
[[ $last =~ ^delivered=[1-9][0-9]*\ unrecorded=0\ lost=0\ unknown=[0-9]+$ ]]
