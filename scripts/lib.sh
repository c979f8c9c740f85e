# Shared by the scripts beside it; source it, do not run it.
#
#   repo, cache, prefix       absolute folders: this checkout, ~/.cache/podproxy, what scripts/setup unpacked
#   say, warn, die            messages
#   build_preset <p> [targets]  configure when that is due, and build, with ccache set so that any clone shares its hits

set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/podproxy
prefix=${PODPROXY_PREFIX:-$cache/prefix}
export PODPROXY_PREFIX=$prefix

# A Go that scripts/setup had to fetch, where the system has none that is new enough; it gets newer toolchains by itself.
if [[ -x $prefix/bin/go ]]; then
    export PATH=$prefix/bin:$PATH GOTOOLCHAIN=${GOTOOLCHAIN:-auto}
fi

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    warn "$*"
    exit 1
}

job_count() { nproc; }

# The compiler cache sees paths relative to the checkout, so a clone elsewhere finds what this one compiled.
export CCACHE_BASEDIR=$repo CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros

build_preset() {
    local preset=$1 dir=$repo/build/$1
    shift
    # Ninja runs CMake again by itself when a CMake file, or the set of files that a glob finds, has changed.
    if [[ ! -f $dir/build.ninja || $repo/CMakePresets.json -nt $dir/build.ninja ]]; then
        (cd "$repo" && cmake --preset "$preset" >"$cache/configure-$preset.log" 2>&1) || {
            cat "$cache/configure-$preset.log" >&2
            return 1
        }
    fi
    ninja -C "$dir" -k 0 -j "$(job_count)" "$@"
}

mkdir -p "$cache"
