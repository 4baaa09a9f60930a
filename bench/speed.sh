#!/usr/bin/env bash
# Measures what flashgen's speed is held to and prints a table. A report: it exits 0 also where a line
# does not hold. Needs a release build (./dev build).
#
# usage: bench/speed.sh [--rounds N] [--alone] [BUILD_FOLDER]
#   --rounds N   how often each thing is timed, in turn with the others (default 15); the best counts,
#                because what else the machine does only adds
#   --alone      at real-time priority, so that other processes wait meanwhile (needs the right to)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

rounds=15
alone=()
build=build/release
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2 && shift ;;
    --alone) alone=(chrt -f 1) ;;
    -h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" && exit ;;
    *) build=$1 ;;
    esac
    shift
done
for program in flashgen bench_first bench_lookup bench_side; do
    [ -x "$build/$program" ] && continue
    printf 'bench/speed.sh: no %s: run ./dev build\n' "$build/$program" >&2
    exit 3
done

readonly first='dtype=f32 b=1 hq=8 sq=1024 d=64 causal'
readonly hand='maskfn={j >= i + sk - sq - 256 and j <= i + sk - sq}'
readonly f32='dtype=f32 b=1 hq=8'

# ---- The table ----

rows=()

# row LINE RELATION LIMIT MEASURED UNIT
row() {
    local holds="?" text
    [ "$4" = "?" ] || holds=$(awk -v m="$4" -v l="$3" -v r="$2" \
        'BEGIN { print (r == "<=" ? m <= l : m >= l) ? "yes" : "NO" }')
    printf -v text '%-44s | %2s %-12s | %-12s | %s' "$1" "$2" "$3 $5" "$4 $5" "$holds"
    rows+=("$text")
}

# over A B: A / B
over() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'; }

# ---- From process start to the first result ----

# first_times [STORE]: a line a round, without the time that the inputs took, least first.
first_times() {
    local k
    for ((k = 0; k < rounds; k++)); do
        "${alone[@]}" "$build/bench_first" "$EPOCHREALTIME" "$first" "$@"
    done | awk '{ $1 = sprintf("%.6f", $1 - $6); print }' | sort -n
}

best_and_median() {
    printf '  %-24s best   %s\n  %-24s median %s\n' "$1" "$(sed -n 1p <<<"$2")" "" \
        "$(sed -n "$((rounds / 2 + 1))p" <<<"$2")"
}

seconds_of() { awk 'NR == 1 { printf "%.4f", $1 }' <<<"$1"; }

# Entries of other kernels: what is in a file does not matter until it is asked for.
crowd() {
    local k name any
    any=$(find "$1/kernel" -type f | head -n 1)
    for ((k = 0; k < 10000; k++)); do
        printf -v name '%064x' $((k * 7919 + 1))
        cp "$any" "$1/kernel/$name"
    done
}

measure_first() {
    local never stored crowded store
    store=$(mktemp -d)
    printf '\nFirst result of %s,\nfrom before the process, without its inputs, s: total, generate, compile, load, run, inputs\n' "$first"
    never=$(first_times)
    best_and_median "never seen" "$never"
    "$build/bench_first" "$EPOCHREALTIME" "$first" "$store/s" >"$store/made"
    best_and_median "never seen, then stored" "$(<"$store/made")"
    stored=$(first_times "$store/s")
    best_and_median "stored" "$stored"
    crowd "$store/s"
    crowded=$(first_times "$store/s")
    best_and_median "stored among 10,000" "$crowded"
    rm -rf "$store"
    row "first result, never seen" "<=" 0.6 "$(seconds_of "$never")" s
    row "first result, from the store" "<=" 0.03 "$(seconds_of "$stored")" s
    row "the same among 10,000 entries, more" "<=" 0.01 \
        "$(awk -v a="$(seconds_of "$crowded")" -v b="$(seconds_of "$stored")" 'BEGIN { printf "%.4f", a - b }')" s
    printf 'The same by flashgen run --json:\n  %s\n' \
        "$("${alone[@]}" "$build/flashgen" run --target c "$first" --json | grep -o '"seconds":{[^}]*}')"
}

measure_lookup() {
    local k times
    times=$(for k in 1 2 3; do "${alone[@]}" "$build/bench_lookup" "$first"; done | sort -n)
    printf '\nLook-up of a plan in memory, median of 100,000, three times, ns: %s\n' "${times//$'\n'/ }"
    row "look-up of a plan in memory" "<=" 1000 "$(head -n 1 <<<"$times")" ns
}

# ---- The library's file ----

# One entry is the C run-time's own (frame_dummy).
measure_library() {
    local library=$build/libflashgen.so stripped entries
    entries=$(readelf -SW "$library" | awk '
        { sub(/^ *\[ *[0-9]+\] */, "") }
        $1 == ".init_array" { own += ("0x" $5) ~ /^0x0*8$/ ? 0 : 1; found = 1 }
        $1 == ".ctors" || $1 == ".preinit_array" { own++ }
        END { print own + 0 }')
    printf '\nSections that start code at load (8 bytes of .init_array are frame_dummy):\n'
    readelf -SW "$library" | grep -E '_array|ctors|dtors' | sed 's/^/  /'
    row "tables of constructors besides frame_dummy" "<=" 0 "$entries" ""
    stripped=$(mktemp)
    strip -o "$stripped" "$library"
    row "stripped library" "<=" 2000000 "$(stat -c %s "$stripped")" bytes
    rm -f "$stripped"
}

# ---- Side by side ----

declare -A best gflops

measure_side() {
    local b median unit g thing
    printf '\nSide by side, %s rounds: best, median, unit, GFLOP/s, what\n' "$rounds"
    while read -r b median unit g thing; do
        printf '  %10s %10s %-7s %8s  %s\n' "$b" "$median" "$unit" "$g" "$thing"
        best[$thing]=$b
        gflops[$thing]=$g
    done < <("${alone[@]}" "$build/bench_side" "$rounds" "$@")
    [ ${#best[@]} -gt 0 ] || exit 3
}

# f32 multiply-adds a cycle and core: lanes x ports. Zen 4 takes 512 bits in two halves.
multiply_adds() {
    local flags vendor family
    flags=$(grep -m 1 '^flags' /proc/cpuinfo || true)
    vendor=$(sed -n 's/^vendor_id\s*: //p;T;q' /proc/cpuinfo)
    family=$(sed -n 's/^cpu family\s*: //p;T;q' /proc/cpuinfo)
    case "$vendor $family $flags" in
    "AuthenticAMD 25 "*) echo 16 ;;
    *" avx512f "*) echo 32 ;;
    *" fma "*) echo 16 ;;
    *) echo "?" ;;
    esac
}

row_peak() {
    local a_cycle threads of="?"
    a_cycle=$(multiply_adds)
    threads=$("$build/flashgen" info | awk '$1 == "threads" { print $2 }')
    [ "$a_cycle" = "?" ] || of=$(awk -v p="${best[peak]}" -v c="${best[loaded]}" -v t="$threads" \
        -v n="$a_cycle" 'BEGIN { printf "%.3f", p / (2 * n * t * c) }')
    printf '\nPeak: %s GFLOP/s on %s threads, each %s multiply-adds a cycle at %s GHz (%s GHz without them)\n' \
        "${best[peak]}" "$threads" "$a_cycle" "${best[loaded]}" "${best[clock]}"
    row "measured peak / (lanes x ports x clock)" ">=" 0.95 "$of" ""
}

measure_kernels() {
    local d s full=() masked=()
    for d in 64 128; do
        for s in 1024 4096; do full+=("$f32 sq=$s d=$d"); done
        masked+=("$f32 sq=4096 d=$d causal")
    done
    local long="$f32 sq=8192 d=64"
    measure_side clock loaded peak "${full[@]}" "${masked[@]}" "$long" "$long window=256,0" "$long $hand"
    row_peak
    for thing in "${full[@]}"; do
        row "${thing#dtype=} / peak" ">=" 0.6 "$(over "${gflops[$thing]}" "${best[peak]}")" ""
    done
    for d in 64 128; do
        row "causal / full, s 4096, d $d" "<=" 0.58 \
            "$(over "${best[$f32 sq=4096 d=$d causal]}" "${best[$f32 sq=4096 d=$d]}")" ""
    done
    row "window=256,0 / full, s 8192, d 64" "<=" 0.08 \
        "$(over "${best[$long window=256,0]}" "${best[$long]}")" ""
    row "window by maskfn / window, s 8192, d 64" "<=" 1.05 \
        "$(over "${best[$long $hand]}" "${best[$long window=256,0]}")" ""
}

"$build/flashgen" info
uptime
measure_first
measure_lookup
measure_library
measure_kernels
printf '\n%-44s | %-15s | %-12s | %s\n' line required measured holds
printf '%s\n' "${rows[@]}"
