#!/usr/bin/env bash
# xla_ffi_test.sh SOURCE BUILD CC: JAX programs call fg_run, through a handler of XLA's C interface.
# JAX is python3's own, or else one that pip puts into the build folder. Exit 77: there is none to be had.
set -euo pipefail
readonly source=$1/tests/xla_ffi build=$2 cc=$3 work=$2/tests/xla_ffi
export FLASHGEN_STORE="" OMP_WAIT_POLICY=passive JAX_PLATFORMS=cpu
mkdir -p "$work"

skip() {
    printf 'xla_ffi_test: skipped: %s\n' "$*"
    exit 77
}

has_jax() { "$1" -c 'import jax.ffi' 2>/dev/null; }

install_jax() {
    local log=$work/pip.log
    rm -rf "$work/venv"
    python3 -m venv "$work/venv" >"$log" 2>&1 ||
        skip "python3 makes no venv (python3-venv, ./dev setup): $(tail -n 1 "$log")"
    "$work/venv/bin/python" -m pip install -q --disable-pip-version-check \
        -r "$source/requirements.txt" >"$log" 2>&1 ||
        skip "pip could not install jax: $(tail -n 1 "$log")"
}

command -v python3 >/dev/null || skip "there is no python3 (./dev setup)"
python=python3
if ! has_jax $python; then
    python=$work/venv/bin/python
    has_jax "$python" || install_jax
fi

include=$("$python" -c 'import jax; print(jax.ffi.include_dir())')
"$cc" -std=c11 -D_GNU_SOURCE -O2 -shared -fPIC -fvisibility=hidden \
    -Wall -Wextra -Wconversion -Wshadow -Werror -isystem "$include" -I "$1/include" \
    "$source/attention.c" -o "$work/attention.so" -L"$build" -lflashgen -Wl,-rpath,"$build"
"$python" "$source/attention_test.py" "$work/attention.so"
