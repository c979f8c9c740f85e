# Finds what podproxy is built on, in this tree and again for find_package(podproxy): both include this file.
# Whatever a distribution or Conan calls its targets, podproxy's own refer to these:
#
#   podproxy_deps::zlib  ::simdjson  ::nlohmann_json  ::yaml  ::crypto  ::ssl  ::asio
#
# `podproxy_FIND_COMPONENTS` (set by find_package) keeps the search to what the wanted target needs: core needs nothing.

include_guard(GLOBAL)

set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
list(PREPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})

# scripts/setup puts what the system is too old for in here; what the user names in CMAKE_PREFIX_PATH comes first.
if(NOT DEFINED PODPROXY_PREFIX)
    if(DEFINED ENV{PODPROXY_PREFIX})
        set(PODPROXY_PREFIX $ENV{PODPROXY_PREFIX})
    elseif(DEFINED ENV{XDG_CACHE_HOME})
        set(PODPROXY_PREFIX $ENV{XDG_CACHE_HOME}/podproxy/prefix)
    else()
        set(PODPROXY_PREFIX $ENV{HOME}/.cache/podproxy/prefix)
    endif()
endif()
list(APPEND CMAKE_PREFIX_PATH ${PODPROXY_PREFIX}/usr)

if(NOT DEFINED PODPROXY_TLS)
    set(PODPROXY_TLS boringssl)
endif()

function(podproxy_add_dependency name)
    add_library(podproxy_deps::${name} INTERFACE IMPORTED GLOBAL)
    foreach(candidate IN LISTS ARGN)
        if(TARGET ${candidate})
            target_link_libraries(podproxy_deps::${name} INTERFACE ${candidate})
            return()
        endif()
    endforeach()
    message(FATAL_ERROR "podproxy: none of the targets ${ARGN} exists after the search for ${name}")
endfunction()

set(podproxy_wanted ${podproxy_FIND_COMPONENTS})
if(NOT podproxy_wanted)
    set(podproxy_wanted podproxy)
endif()

if("codecs" IN_LIST podproxy_wanted OR "podproxy" IN_LIST podproxy_wanted)
    find_package(ZLIB REQUIRED)
    podproxy_add_dependency(zlib ZLIB::ZLIB)
    find_package(simdjson REQUIRED)
    podproxy_add_dependency(simdjson simdjson::simdjson)
    find_package(nlohmann_json REQUIRED)
    podproxy_add_dependency(nlohmann_json nlohmann_json::nlohmann_json)
    find_package(yaml-cpp REQUIRED)
    podproxy_add_dependency(yaml yaml-cpp::yaml-cpp yaml-cpp)
    if(PODPROXY_TLS STREQUAL "openssl")
        find_package(OpenSSL 3.0 REQUIRED)
        podproxy_add_dependency(crypto OpenSSL::Crypto)
        podproxy_add_dependency(ssl OpenSSL::SSL)
    elseif(PODPROXY_TLS STREQUAL "boringssl")
        find_package(BoringSSL REQUIRED)
        podproxy_add_dependency(crypto BoringSSL::Crypto)
        podproxy_add_dependency(ssl BoringSSL::SSL)
    else()
        message(FATAL_ERROR "PODPROXY_TLS is '${PODPROXY_TLS}'; it can be boringssl or openssl")
    endif()
endif()

if("podproxy" IN_LIST podproxy_wanted)
    find_package(Asio 1.31 MODULE REQUIRED)
    podproxy_add_dependency(asio Asio::asio)
endif()
