#!/usr/bin/env bash
# How near a search on a budget comes to one of everything, on the MiniLM problem and models of
# bench/models.txt. Prints a table; below each row the configs: of the search of everything, of each search
# on the budget, of the estimate. A report: it exits 0 also where a search was far off.
#
# usage: bench/tune.sh [--budget S] [--repeats N] [--target T] [BUILD_FOLDER [NAME...]]
#   --budget S    seconds of a search (default 20)
#   --repeats N   how many of them (default 3)
#   --target T    c (default), cuda or cuda:N
#   NAME          of bench/models.txt, or MiniLM-f32, the problem of tests/data/minilm
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

budget=20
repeats=3
target=c
while [[ ${1-} == --* ]]; do
    case $1 in
    --budget) budget=$2 ;;
    --repeats) repeats=$2 ;;
    --target) target=$2 ;;
    *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" && exit 2 ;;
    esac
    shift 2
done
build=${1:-build/release}
[ $# = 0 ] || shift
device=$target
[ "$target" != c ] || device=cpu
[ $# -gt 0 ] || [ "$target" = c ] || set -- "GPT-2" "BERT base" "Llama-3 8B" "Llama-3 8B decode" "MiniLM-f32"
[ $# -gt 0 ] || set -- "MiniLM-f32" "GPT-2" "BERT base" "ViT-H/14" "Stable Diffusion 16x16"
[ -x "$build/bench_tuned" ] || { printf 'bench/tune.sh: no %s: run ./dev build\n' "$build/bench_tuned" >&2 && exit 3; }

line_of() {
    [ "$1" = "MiniLM-f32" ] && echo "dtype=f32 b=1 hq=12 sq=110 d=32" && return
    awk -v name="# name: $1" '$0 == name { getline; print; exit }' bench/models.txt
}

"$build/flashgen" info --target "$target"
printf '\n%-24s | legal | everything, compiled |  its best run | within %s s, over the best (measured, seconds), %s times | estimate\n' \
    problem "$budget" "$repeats"
for name in "$@"; do
    line=$(line_of "$name")
    [ -n "$line" ] || { printf 'bench/tune.sh: bench/models.txt has no %s\n' "$name" >&2 && exit 2; }
    "$build/bench_tuned" "$budget" "$repeats" "$line" "$name" "$device"
done
