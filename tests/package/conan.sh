#!/usr/bin/env bash
# Checks the Conan recipe: inspect, export, and a whole `conan create` with its test package. The dependencies come from
# recipes that wrap the system's libraries, so no remote is asked. Exit code 77: Conan itself could not be had.
#
# usage: conan.sh WORK_FOLDER

source "$(dirname "$0")/../../scripts/lib.sh"

work=${1:?usage: conan.sh WORK_FOLDER}
conan=$(command -v conan || true)
if [[ -z $conan ]]; then
    conan=$cache/conan/bin/conan
    if [[ ! -x $conan ]]; then
        if ! { python3 -m venv "$cache/conan" && "$cache/conan/bin/pip" -q install 'conan>=2,<3'; } >"$cache/conan-install.log" 2>&1; then
            tail -n 3 "$cache/conan-install.log"
            say "skipped: Conan 2 is not installed, and pip could not get it"
            exit 77
        fi
    fi
fi
[[ $("$conan" --version) == *" 2."* ]] || { say "skipped: $conan is not Conan 2" && exit 77; }

rm -rf "$work"
mkdir -p "$work"
export CONAN_HOME=$work/home
"$conan" profile detect >/dev/null 2>&1

cd "$repo"
"$conan" inspect .
"$conan" export .

for include in "$prefix/usr/include" /usr/local/include /usr/include; do
    version=$(sed -nE 's/^#define ASIO_VERSION ([0-9]+).*/\1/p' "$include/asio/version.hpp" 2>/dev/null || true)
    ((${version:-0} < 103100)) || break
done
export PODPROXY_ASIO_INCLUDE_DIR=$include
while read -r name version; do
    "$conan" export tests/package/system_libraries --name "$name" --version "$version"
done <<END
zlib 1.3
simdjson 3.0.1
nlohmann_json 3.11.2
yaml-cpp 0.8.0
boringssl 0.20251124.0
asio 1.36.0
END

# The test package builds below its own folder, so it gets a copy.
cp -r tests/package "$work/test_package"
export CMAKE_CXX_COMPILER_LAUNCHER
CMAKE_CXX_COMPILER_LAUNCHER=$(command -v ccache || true)
"$conan" create . -tf "$work/test_package" --no-remote --build=missing -s compiler.cppstd=20 -s build_type=Release
