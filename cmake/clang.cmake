# Toolchain file of the Clang presets: the newest of the Clang versions we know, 19 first since that is what CI runs.
find_program(PODPROXY_CLANGXX NAMES clang++-19 clang++-20 clang++-21 clang++-18 clang++ REQUIRED)
string(REGEX REPLACE "\\+\\+" "" podproxy_clang "${PODPROXY_CLANGXX}")
set(CMAKE_CXX_COMPILER ${PODPROXY_CLANGXX})
set(CMAKE_C_COMPILER ${podproxy_clang})
