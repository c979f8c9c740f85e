# What our own programs and tests are built with; nothing here reaches an exported target.
#
#   podproxy_dev   warnings and sanitizers
#   podproxy_all   podproxy::podproxy + podproxy_dev, with Asio compiled once into a library

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)

if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
    find_program(PODPROXY_CCACHE ccache)
    mark_as_advanced(PODPROXY_CCACHE)
    if(PODPROXY_CCACHE)
        set(CMAKE_CXX_COMPILER_LAUNCHER ${PODPROXY_CCACHE})
        set(CMAKE_C_COMPILER_LAUNCHER ${PODPROXY_CCACHE})
    endif()
endif()

add_library(podproxy_dev INTERFACE)
target_compile_options(podproxy_dev INTERFACE -Wall -Wextra -Wconversion -Wshadow)
# GCC 12 sees a mismatch where an inlined allocation function of a coroutine frame meets its own counterpart.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(podproxy_dev INTERFACE -Wno-mismatched-new-delete)
endif()
if(PODPROXY_WERROR STREQUAL "KNOWN")
    if((CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION MATCHES "^12\\.")
        OR (CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION MATCHES "^19\\."))
        target_compile_options(podproxy_dev INTERFACE -Werror)
    endif()
elseif(PODPROXY_WERROR)
    target_compile_options(podproxy_dev INTERFACE -Werror)
endif()

set(podproxy_sanitizer_flags)
if(PODPROXY_SANITIZE)
    set(podproxy_sanitizer_flags -fsanitize=${PODPROXY_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(podproxy_dev INTERFACE ${podproxy_sanitizer_flags})
    target_link_options(podproxy_dev INTERFACE ${podproxy_sanitizer_flags})
endif()

# lld links several times faster than the default linker. g++ wants it under the name ld.lld, so it gets a folder with
# that name in it; the release keeps the compiler's own choice.
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    find_program(PODPROXY_LLD NAMES ld.lld-19 ld.lld-20 ld.lld-21 ld.lld-18 ld.lld)
    mark_as_advanced(PODPROXY_LLD)
    if(PODPROXY_LLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/linker)
        file(CREATE_LINK ${PODPROXY_LLD} ${PROJECT_BINARY_DIR}/linker/ld.lld SYMBOLIC)
        target_link_options(podproxy_dev INTERFACE -fuse-ld=lld -B${PROJECT_BINARY_DIR}/linker)
    elseif(PODPROXY_LLD)
        target_link_options(podproxy_dev INTERFACE --ld-path=${PODPROXY_LLD})
    endif()
endif()

# Asio is header-only for our users; for ourselves its bodies are compiled once.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/asio.cpp CONTENT "#include <asio/impl/src.hpp>\n")
add_library(podproxy_asio STATIC ${PROJECT_BINARY_DIR}/generated/asio.cpp)
target_compile_features(podproxy_asio PUBLIC cxx_std_20)
target_compile_definitions(podproxy_asio PUBLIC ASIO_STANDALONE ASIO_NO_DEPRECATED ASIO_SEPARATE_COMPILATION)
target_compile_options(podproxy_asio PRIVATE ${podproxy_sanitizer_flags})
target_link_libraries(podproxy_asio PUBLIC podproxy_deps::asio)

add_library(podproxy_all INTERFACE)
target_link_libraries(podproxy_all INTERFACE podproxy::podproxy podproxy_dev podproxy_asio)
