#!/usr/bin/env bash
# gpu_store_test.sh FLASHGEN: processes that tune on one GPU with one empty store. One is killed, and a worker of
# another: the others finish, and what is stored is right. Exit 77: there is no GPU.
set -euo pipefail
command=$1
export LC_ALL=C
problem='dtype=bf16 b=1 hq=8 sq=1024 sk=1024 d=64 causal'

why=$("$command" info --target cuda 2>&1) || {
    printf 'gpu_store_test: skipped: %s\n' "$(tail -n 1 <<<"$why")"
    exit 77
}
folder=$(mktemp -d)
pids=()
finish() {
    [ ${#pids[@]} = 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

fail() {
    printf 'gpu_store_test: %s\n' "$*" >&2
    cat "$folder"/*.err >&2
    exit 1
}

# tune NAME SECONDS [OPTION...]: in the background; pids has its process.
tune() {
    local name=$1
    "$command" tune --target cuda --store "$folder/store" --budget "$2" --log "$folder/$name.log" "${@:3}" \
        "$problem" >"$folder/$name.out" 2>"$folder/$name.err" &
    pids+=($!)
}

# Until a search has measured something.
await_log() {
    for _ in $(seq 600); do
        [ ! -s "$folder/$1.log" ] || return 0
        sleep 0.1
    done
    fail "$1 measures nothing"
}

gone() {
    for _ in $(seq 100); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.1
    done
    return 1
}

worker_of() { tr ' ' '\n' <"/proc/$1/task/$1/children" | sed -n 1p; }

# ---- One of two is killed while it searches; the other waited for it, or searches, too ----

tune first 60
await_log first
tune second 6
first=${pids[0]} second=${pids[1]}
worker=$(worker_of "$first")
[ -n "$worker" ] || fail "the first has no worker"
sleep 1
kill -9 "$first"
wait "$first" 2>/dev/null && fail "the first was not killed"
gone "$worker" || fail "the worker of a killed process goes on"
wait "$second" || fail "the second failed"
pids=()
grep -qE ' (decided|undecided) ' "$folder/second.out" || fail "the second did not search: $(cat "$folder/second.out")"
"$command" store verify --store "$folder/store" || fail "the store is damaged"

# ---- What it found serves ----

tune third 6
wait "${pids[0]}" || fail "the third failed"
pids=()
grep -q ' stored ' "$folder/third.out" || fail "the winner was not stored: $(cat "$folder/third.out")"
"$command" run --target cuda --store "$folder/store" --rigor stored --check "$problem" >"$folder/run.out" ||
    fail "what is stored does not run"
grep -q 'right' "$folder/run.out" || fail "what is stored is wrong: $(cat "$folder/run.out")"

# ---- A worker is killed: its search goes on ----

tune fourth 6 --again
await_log fourth
kill -9 "$(worker_of "${pids[0]}")"
wait "${pids[0]}" || fail "a search ended with its worker"
pids=()
"$command" store verify --store "$folder/store" || fail "the store is damaged"
printf 'gpu_store_test: passed: %s\n' "$(sed -n '$p' "$folder/fourth.out")"
