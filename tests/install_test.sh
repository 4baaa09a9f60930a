#!/usr/bin/env bash
# install_test.sh SOURCE BUILD CC CMAKE: installs the build, and uses what was installed as others would.
# Writes below a folder of its own, which it removes.
set -euo pipefail
readonly source=$1 build=$2 cc=$3 cmake=$4
export FLASHGEN_STORE="" OMP_WAIT_POLICY=passive
unset LD_LIBRARY_PATH PKG_CONFIG_PATH PKG_CONFIG_LIBDIR DESTDIR CMAKE_PREFIX_PATH
# A space would be too much: pkg-config and the Makefiles that use it do not quote.
root=$(mktemp -d /tmp/flashgen_install.XXXXXX)
readonly root
trap 'rm -rf "$root"' EXIT
cd "$root"

die() {
    printf 'install_test: %s\n' "$*" >&2
    exit 1
}

# same WHAT GOT WANTED
same() { [ "$2" = "$3" ] || die "$1: '$2', not '$3'"; }

quietly() { "$@" >log 2>&1 || { cat log >&2 && die "failed: $*"; }; }

# ---- What lies where ----

{ read -r major && read -r minor && read -r patch; } \
    < <(sed -n 's/^#define FG_VERSION_[A-Z]* //p' "$source/include/flashgen.h")
readonly version=$major.$minor.$patch
abi=$major
[ "$major" != 0 ] || abi=$major.$minor

# tree PREFIX: sets where the installed folders are.
tree() {
    bin=$1/bin
    include=$1/include
    manual=$1/share/man
    lib=$(dirname "$(find "$1" -name libflashgen.a)")
    export PKG_CONFIG_PATH=$lib/pkgconfig
}

check_files() {
    local page
    [ -x "$bin/flashgen" ] || die "no command in $bin"
    [ -f "$lib/libflashgen.a" ] || die "no archive in $lib"
    [ -f "$include/flashgen.h" ] || die "no header in $include"
    [ "$(find "$include" -type f | wc -l)" = 1 ] || die "more than the header in $include"
    same soname "$(readelf -d "$lib/libflashgen.so" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')" \
        "libflashgen.so.$abi"
    same "what libflashgen.so is" "$(readlink -f "$lib/libflashgen.so")" \
        "$lib/libflashgen.so.$version"
    for page in "$source"/cli/man/*.[13]; do
        [ -s "$manual/man${page##*.}/${page##*/}" ] || die "no ${page##*/} in $manual"
    done
    "$cc" -x c -std=c99 -fsyntax-only -Wall -Wextra -Wpedantic -Werror "$include/flashgen.h"
    # Where the library looks for what measures.
    [ -x "$lib/../bin/flashgen" ] || [ -x "$lib/../../bin/flashgen" ] || die "no worker beside $lib"
}

# check_symbols WHAT NAMES: each is public.
check_symbols() {
    local others
    others=$(grep -v '^fg_' <<<"$2" || true)
    [ -z "$others" ] || die "$1 exports" "$others"
    grep -qx fg_run <<<"$2" || die "$1 does not export fg_run"
}

check_binaries() {
    local from file
    check_symbols libflashgen.so "$(nm -D --defined-only "$lib/libflashgen.so" | awk '{ print $3 }')"
    check_symbols libflashgen.a \
        "$(nm -g --defined-only "$lib/libflashgen.a" | awk 'NF == 3 { print $3 }')"
    # Nothing of ours runs when the library is loaded: what the archive holds comes from us alone.
    ! readelf -SW "$lib/libflashgen.a" | grep -E '\.(init_array|fini_array|ctors|dtors)' ||
        die "libflashgen.a has constructors"
    for from in "$source" "$build" "$root"; do
        ! grep -rIF "$from" "$1" || die "the installed text names $from"
        for file in "$lib/libflashgen.so" "$bin/flashgen"; do
            ! readelf -d "$file" | grep -F "$from" || die "$file looks in $from"
        done
    done
}

# ---- Hosts ----

# run_host PROGRAM LIBRARY: it works, with the library installed or ("") with none.
run_host() {
    local needs
    needs=$(ldd "$1" | awk '/libflashgen/ { print $3 }')
    same "what $1 loads" "${needs:+$(readlink -f "$needs")}" "${2:+$(readlink -f "$2")}"
    "$1" | grep -q '^o\[0\] = ' || die "$1 printed something else"
}

words() { pkg-config "$@" flashgen || die "pkg-config $*"; }

pkg_config_hosts() {
    same "pkg-config's version" "$(words --modversion)" "$version"
    # shellcheck disable=SC2046 # words on purpose
    "$cc" "$source/examples/host.c" -o pc_shared $(words --cflags --libs) -Wl,-rpath,"$lib"
    run_host ./pc_shared "$lib/libflashgen.so"
    # shellcheck disable=SC2046
    "$cc" "$source/examples/host.c" -o pc_static \
        $(words --static --cflags --libs | sed 's/-lflashgen/-l:libflashgen.a/')
    run_host ./pc_static ""
}

cmake_hosts() {
    mkdir -p host
    cat >host/CMakeLists.txt <<TEXT
cmake_minimum_required(VERSION 3.22)
project(host LANGUAGES C)
find_package(flashgen $version REQUIRED COMPONENTS static)
foreach(other $major.$((minor + 1)) $major.$((minor > 0 ? minor - 1 : minor + 1)) $((major + 1)).$minor)
  find_package(flashgen \${other} QUIET)
  if(flashgen_FOUND)
    message(FATAL_ERROR "$version passes for \${other}")
  endif()
endforeach()
add_executable(cmake_shared $source/examples/host.c)
target_link_libraries(cmake_shared PRIVATE flashgen::flashgen)
add_executable(cmake_static $source/examples/host.c)
target_link_libraries(cmake_static PRIVATE flashgen::static)
TEXT
    rm -rf host/build
    quietly "$cmake" -S host -B host/build -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$1"
    quietly "$cmake" --build host/build
    run_host host/build/cmake_shared "$lib/libflashgen.so"
    run_host host/build/cmake_static ""
}

# A host's own functions may have any name that the library has inside.
check_names_are_free() {
    local name
    name=$(nm "$lib/libflashgen.a" | awk '$2 == "t" && $3 ~ /^store_/ && !n++ { print $3 }')
    [ -n "$name" ] || die "libflashgen.a has no function store_..."
    printf 'int %s(void);\nint %s(void) { return 1; }\n' "$name" "$name" >own.c
    # shellcheck disable=SC2046
    "$cc" own.c "$source/examples/host.c" -o pc_own \
        $(words --static --cflags --libs | sed 's/-lflashgen/-l:libflashgen.a/')
}

# ---- Here, there, and below DESTDIR ----

check_command() {
    local problem='b=1 hq=1 sq=16 d=16'
    same --version "$(cd / && "$bin/flashgen" --version)" "flashgen $version"
    (cd / && "$bin/flashgen" run "$problem" --target c --check >/dev/null) || die "flashgen run failed"
}

check_tree() {
    tree "$1"
    check_files
    check_binaries "$1"
    check_command
    pkg_config_hosts
    cmake_hosts "$1"
}

quietly "$cmake" --install "$build" --prefix "$root/here"
check_tree "$root/here"
check_names_are_free
mkdir -p there/deep
mv here there/deep/down
check_tree "$root/there/deep/down"
DESTDIR=$root/staged quietly "$cmake" --install "$build" --prefix /opt/flashgen
tree "$root/staged/opt/flashgen"
check_files
check_command
