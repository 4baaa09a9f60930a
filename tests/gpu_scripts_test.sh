#!/usr/bin/env bash
# gpu_scripts_test.sh PROGRAM FAKE_CUDA: gpu_sweep.sh and gpu_sanitize.sh, first without a GPU, then on one that takes
# everything and computes nothing, so that all that has an output is wrong.
set -uo pipefail
program=$(realpath "$1")
fake=$(realpath "$2")
readonly program fake count=12
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/lib" "$folder/bin"
export FLASHGEN_STORE="" FLASHGEN_TEST_WORK=2000000

die() {
    printf 'gpu_scripts_test: %s\n' "$*" >&2
    exit 1
}

# ends CODE SCRIPT [ARGUMENT...]: runs it; what it says is in said and told.
ends() {
    local wanted=$1 code
    shift
    "$here/$1" "${@:2}" >"$folder/said" 2>"$folder/told"
    code=$?
    [ $code = "$wanted" ] || die "$1 ended with $code, not $wanted: $(cat "$folder/said" "$folder/told")"
}

says() { grep -qE -- "$1" "$folder/said" || die "it does not say '$1': $(cat "$folder/said")"; }

# ---- No GPU ----

ln -s /dev/null "$folder/lib/libcuda.so.1"
export LD_LIBRARY_PATH=$folder/lib
for script in gpu_sweep.sh gpu_sanitize.sh; do
    ends 77 $script "$program" $count
    says '^gpu_sweep: skipped: no CUDA device here: '
done

# ---- A GPU that computes nothing ----

ln -sf "$fake" "$folder/lib/libcuda.so.1"
for major in 12 13; do ln -s "$fake" "$folder/lib/libnvrtc.so.$major"; done
ends 1 gpu_sweep.sh "$program" $count
says "^gpu sweep: $count of $count problems ran, $count configs, .* [1-9][0-9]* wrong, "
says '^bf16 +[1-9]'
grep -q '^gpu sweep [0-9]*: the output is wrong' "$folder/told" || die "it does not tell what is wrong"

# One that others fill is there, and nothing ran on it.
full=$folder/fail-cuDevicePrimaryCtxRetain-1-99-2
mkdir "$full"
cp -P "$folder"/lib/* "$full"
LD_LIBRARY_PATH=$full ends 1 gpu_sweep.sh "$program" $count
says "^gpu sweep: 0 of $count problems ran, "

# A tool that finds what the variable FOUND says in racecheck, and nothing in others; that called DIES ends early in its
# second process.
cat >"$folder/bin/compute-sanitizer" <<'TOOL'
#!/usr/bin/env bash
[ "$1" = --tool ] && tool=$2 && shift 4
"$@"
[ "$tool ${FLASHGEN_TEST_SHARD%/*}" = "${DIES:-} 1" ] && exit 139
if [ "$tool" = racecheck ]; then
    echo "========= RACECHECK SUMMARY: $FOUND hazards displayed (0 errors, $FOUND warnings)"
else
    echo "========= ERROR SUMMARY: 0 errors"
fi
TOOL
chmod +x "$folder/bin/compute-sanitizer"
export PATH=$folder/bin:$PATH
FOUND=3 ends 1 gpu_sanitize.sh "$program" 4
for tool in memcheck initcheck synccheck; do
    says "^$tool: +4 of 4 problems ran, [1-4] wrong, 0 errors or hazards"
done
says '^racecheck: 4 of 4 problems ran, [1-4] wrong, [1-9][0-9]* errors or hazards'

# A program that is always right, so that hazards and missing parts decide; from part HERE on it sees no GPU.
printf '#!/bin/sh\necho 8\n' >"$folder/bin/nproc"
chmod +x "$folder/bin/nproc"
cat >"$folder/program" <<'PROGRAM'
#!/usr/bin/env bash
[ "${FLASHGEN_TEST_SHARD%/*}" -ge "${HERE:-16}" ] && echo "gpu_sweep: skipped" && exit 77
[ "${FLASHGEN_TEST_SHARD%/*}" -lt "${RUNS:-1}" ] && ran=1
echo "gpu sweep, part: ${ran:-0} problems, 1 configs, 0 of three tiles, 0 wrong, worst of the others 0.5"
PROGRAM
chmod +x "$folder/program"
FOUND=0 ends 0 gpu_sanitize.sh "$folder/program" 1
FOUND=1 ends 1 gpu_sanitize.sh "$folder/program" 1
FOUND=0 RUNS=0 ends 1 gpu_sanitize.sh "$folder/program" 1
ends 0 gpu_sweep.sh "$folder/program" 1
RUNS=0 ends 1 gpu_sweep.sh "$folder/program" 1
HERE=1 ends 1 gpu_sweep.sh "$folder/program" 1
HERE=0 ends 77 gpu_sweep.sh "$folder/program" 1
for tool in memcheck racecheck initcheck synccheck; do
    FOUND=0 DIES=$tool ends 1 gpu_sanitize.sh "$folder/program" 1
done
