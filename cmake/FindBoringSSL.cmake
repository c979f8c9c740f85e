# Finds BoringSSL: Debian's android-libboringssl-dev, Conan's package (whose targets are named OpenSSL::SSL and
# OpenSSL::Crypto), or an installation in CMAKE_PREFIX_PATH.
#
# Gives the targets BoringSSL::SSL and BoringSSL::Crypto. The libraries are outside the dynamic linker's path on Debian;
# CMake gives our programs the rpath for it.

set(BoringSSL_LIBRARIES_FROM "")

find_package(boringssl CONFIG QUIET)
if(boringssl_FOUND AND TARGET OpenSSL::SSL AND TARGET OpenSSL::Crypto)
    set(BoringSSL_LIBRARIES_FROM "the package boringssl")
    if(NOT TARGET BoringSSL::SSL)
        add_library(BoringSSL::Crypto INTERFACE IMPORTED)
        target_link_libraries(BoringSSL::Crypto INTERFACE OpenSSL::Crypto)
        add_library(BoringSSL::SSL INTERFACE IMPORTED)
        target_link_libraries(BoringSSL::SSL INTERFACE OpenSSL::SSL BoringSSL::Crypto)
    endif()
else()
    # openssl/base.h exists in BoringSSL only, so OpenSSL's headers are never taken by mistake.
    find_path(BoringSSL_INCLUDE_DIR openssl/base.h PATH_SUFFIXES android)
    find_library(BoringSSL_SSL_LIBRARY ssl PATH_SUFFIXES android)
    find_library(BoringSSL_CRYPTO_LIBRARY crypto PATH_SUFFIXES android)
    # Beside android's headers belong android's libraries, and never OpenSSL's of the same name.
    if(BoringSSL_INCLUDE_DIR MATCHES "/android$")
        foreach(which IN ITEMS SSL CRYPTO)
            if(NOT BoringSSL_${which}_LIBRARY MATCHES "/android/")
                set(BoringSSL_${which}_LIBRARY BoringSSL_${which}_LIBRARY-NOTFOUND)
            endif()
        endforeach()
    endif()
    mark_as_advanced(BoringSSL_INCLUDE_DIR BoringSSL_SSL_LIBRARY BoringSSL_CRYPTO_LIBRARY)
    if(BoringSSL_INCLUDE_DIR AND BoringSSL_SSL_LIBRARY AND BoringSSL_CRYPTO_LIBRARY)
        set(BoringSSL_LIBRARIES_FROM ${BoringSSL_SSL_LIBRARY})
        if(NOT TARGET BoringSSL::SSL)
            add_library(BoringSSL::Crypto UNKNOWN IMPORTED)
            set_target_properties(BoringSSL::Crypto PROPERTIES
                IMPORTED_LOCATION ${BoringSSL_CRYPTO_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${BoringSSL_INCLUDE_DIR})
            add_library(BoringSSL::SSL UNKNOWN IMPORTED)
            set_target_properties(BoringSSL::SSL PROPERTIES
                IMPORTED_LOCATION ${BoringSSL_SSL_LIBRARY} INTERFACE_LINK_LIBRARIES BoringSSL::Crypto)
        endif()
    endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(BoringSSL
    REQUIRED_VARS BoringSSL_LIBRARIES_FROM
    REASON_FAILURE_MESSAGE "install android-libboringssl-dev (scripts/setup does), or configure with -DPODPROXY_TLS=openssl")
