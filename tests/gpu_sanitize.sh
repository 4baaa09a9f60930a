#!/usr/bin/env bash
# Drawn problems on a GPU under each tool of compute-sanitizer, all at once, and a line for each.
#
#   gpu_sanitize.sh PROGRAM [COUNT]    COUNT problems (200) by PROGRAM, build/PRESET/tests/gpu_sweep
#
# Kernels are compiled once for all, into a store of this run's own. Problems are small: a tool slows kernels down 10 to
# 100 times. Ends with 77 where there is no GPU or no compute-sanitizer, and with 1 unless all is clean.
set -uo pipefail

readonly tools="memcheck racecheck initcheck synccheck"
readonly work=8000000 # multiply-adds of a problem
program=$(realpath "$1")
count=${2:-200}
cores=$(nproc)
parts=$(((cores < 16 ? cores : 16) / 4))
parts=$((parts > 0 ? parts : 1))
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

find_sanitizer() {
    command -v compute-sanitizer && return
    compgen -G '/usr/local/cuda*/bin/compute-sanitizer' | sort -V | tail -n 1
}

FLASHGEN_TEST_SWEEP=1 FLASHGEN_TEST_SHARD=1/2 "$program" >"$folder/probe" 2>&1
[ $? = 77 ] && cat "$folder/probe" && exit 77
sanitizer=$(find_sanitizer)
[ -n "$sanitizer" ] || { echo "gpu_sanitize: skipped: compute-sanitizer is not here" && exit 77; }

started=$SECONDS
export FLASHGEN_TEST_SWEEP=$count FLASHGEN_TEST_WORK=$work FLASHGEN_TEST_BARE=1 FLASHGEN_STORE=$folder/store
for tool in $tools; do
    for ((part = 0; part < parts; part++)); do
        FLASHGEN_TEST_SHARD=$part/$parts "$sanitizer" --tool "$tool" --print-limit 10 "$program" \
            >"$folder/$tool.$part" 2>&1 &
    done
done
wait

failed=0
for tool in $tools; do
    awk -v tool="$tool" -v count="$count" -v parts="$parts" -v seconds=$((SECONDS - started)) '
    /^gpu sweep, part/ {
        for (k = 2; k <= NF; k++) {
            if ($k == "problems,") ran += $(k - 1)
            if ($k == "wrong,") wrong += $(k - 1)
        }
    }
    /ERROR SUMMARY:/ { summaries++; errors += $4 }
    /RACECHECK SUMMARY:/ { summaries++; errors += $4 }
    END {
        printf "%-9s %d of %d problems ran, %d wrong, %d errors or hazards, %d s\n", tool ":", ran,
            count, wrong, errors, seconds
        exit !(ran == count && wrong == 0 && errors == 0 && summaries == parts) # a tool that died says none
    }' "$folder/$tool".* || failed=1
done
# What was found, without the sentences of each thread.
[ $failed = 0 ] || grep -hE '^gpu sweep [0-9]|^  (problem|config):|========= .*(Error|Warning|Invalid|hazard|Race|Uninit|Barrier|and |at )' \
    "$folder"/{memcheck,racecheck,initcheck,synccheck}.* | head -n 200 >&2
exit $failed
