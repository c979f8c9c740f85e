# The public headers, sorted by what they need. This file is the one place that says which header is a codec.
#
# A header is a driver when its folder is one that does I/O, or when its stem (or the last word of it: tcp_stream,
# port_forward_session) is one of the driver stems. Everything else is a codec, and a codec never includes Asio:
# tests/unit/standalone compiles them all beside an asio.hpp that refuses to be included.
set(podproxy_driver_folders net tls proxy web)
set(podproxy_driver_stems client server session stream dialer listener provider group)

# Folders whose codecs need nothing but the standard library.
set(podproxy_core_folders capture core http metrics proxy_protocol route socks4 socks5 tls_records upstream wake wireguard)

file(GLOB_RECURSE podproxy_all_headers CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/include/podproxy/*.hpp ${PROJECT_SOURCE_DIR}/include/podproxy/*.ipp)
list(SORT podproxy_all_headers)

# Sets `result` to core, codecs or podproxy for a header given as <domain>/<path>: the target it belongs to.
# Inner headers (impl/, detail/) go with the header that they are part of, by name.
function(podproxy_target_of_header header result)
    string(REPLACE "/" ";" parts "${header}")
    list(GET parts 0 folder)
    cmake_path(GET header STEM stem)
    string(REGEX REPLACE ".*_" "" last_word "${stem}")
    if(folder IN_LIST podproxy_driver_folders OR last_word IN_LIST podproxy_driver_stems)
        set(${result} podproxy PARENT_SCOPE)
    elseif(folder IN_LIST podproxy_core_folders)
        set(${result} core PARENT_SCOPE)
    else()
        set(${result} codecs PARENT_SCOPE)
    endif()
endfunction()

# Lists with absolute paths: podproxy_core_headers, podproxy_codecs_headers, podproxy_podproxy_headers.
# Lists for the tests, relative to include/podproxy, without inner headers: podproxy_public_headers, podproxy_public_codec_headers.
set(podproxy_core_headers)
set(podproxy_codecs_headers)
set(podproxy_podproxy_headers)
set(podproxy_public_headers)
set(podproxy_public_codec_headers)
foreach(absolute IN LISTS podproxy_all_headers)
    cmake_path(RELATIVE_PATH absolute BASE_DIRECTORY ${PROJECT_SOURCE_DIR}/include/podproxy OUTPUT_VARIABLE header)
    podproxy_target_of_header(${header} target)
    list(APPEND podproxy_${target}_headers ${absolute})
    if(NOT header MATCHES "/(impl|detail)/")
        list(APPEND podproxy_public_headers ${header})
        if(NOT target STREQUAL podproxy)
            list(APPEND podproxy_public_codec_headers ${header})
        endif()
    endif()
endforeach()
