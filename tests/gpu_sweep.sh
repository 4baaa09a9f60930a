#!/usr/bin/env bash
# The drawn problems on a GPU, in as many processes as there are cores (16 at most), with one table of all.
#
#   gpu_sweep.sh PROGRAM [COUNT]       COUNT problems (1000) by PROGRAM, build/PRESET/tests/gpu_sweep
#
# Ends with 77 where there is no GPU, and with 1 unless all are right.
set -uo pipefail

program=$(realpath "$1")
count=${2:-1000}
parts=$(nproc)
parts=$((parts < 16 ? parts : 16))
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

started=$SECONDS
processes=()
for ((part = 0; part < parts; part++)); do
    FLASHGEN_TEST_SWEEP=$count FLASHGEN_TEST_SHARD=$part/$parts "$program" >"$folder/$part.out" \
        2>"$folder/$part.err" &
    processes+=($!)
done
failed=0
skipped=0
for process in "${processes[@]}"; do
    wait "$process"
    code=$?
    [ $code = 0 ] || failed=$((failed + 1))
    [ $code = 77 ] && skipped=$((skipped + 1))
done
[ $skipped = "$parts" ] && grep -h skipped "$folder"/*.out | head -n 1 && exit 77

cat "$folder"/*.err >&2
grep -hE 'Failure|Error' "$folder"/*.out | grep -v 'problems failed' >&2
awk -v count="$count" -v parts="$parts" -v seconds=$((SECONDS - started)) '
/^gpu sweep, part/ {
    for (k = 2; k <= NF; k++) {
        if ($k == "problems,") ran += $(k - 1)
        if ($k == "configs,") configs += $(k - 1)
        if ($k == "wrong,") wrong += $(k - 1)
        if ($k == "others" && $(k + 1) > worst) worst = $(k + 1)
        if ($k == "three") wide += $(k - 2)
    }
    next
}
NF == 3 && $2 ~ /^[0-9]+$/ && $3 ~ /^[0-9.]+$/ {
    if (!($1 in cases)) order[features++] = $1
    cases[$1] += $2
    if ($3 > largest[$1]) largest[$1] = $3
}
END {
    printf "%-12s %8s  %s\n", "feature", "cases", "worst error/bound"
    for (k = 0; k < features; k++)
        printf "%-12s %8d  %.3f\n", order[k], cases[order[k]], largest[order[k]]
    printf "gpu sweep: %d of %d problems ran, %d configs, %d of three tiles or more on both axes, " \
        "%d wrong, worst error/bound of the others %.3f, %d s in %d processes\n",
        ran, count, configs, wide, wrong, worst, seconds, parts
    exit !(ran == count && wrong == 0)
}' "$folder"/*.out || failed=$((failed + 1))
exit $((failed > 0))
