# Finds BoringSSL: Conan's package (which is found by the name OpenSSL, and whose targets are OpenSSL::SSL and
# OpenSSL::Crypto), Debian's android-libboringssl-dev, or an installation in CMAKE_PREFIX_PATH.
#
# Gives the targets BoringSSL::SSL and BoringSSL::Crypto. The libraries are outside the dynamic linker's path on Debian;
# CMake gives our programs the rpath for it.

set(BoringSSL_LIBRARIES_FROM "")

# openssl/base.h exists in BoringSSL only, so OpenSSL is never taken by mistake.
find_package(OpenSSL CONFIG QUIET)
set(boringssl_package_dir)
foreach(dir IN LISTS OpenSSL_INCLUDE_DIRS OPENSSL_INCLUDE_DIR)
    if(EXISTS ${dir}/openssl/base.h)
        set(boringssl_package_dir ${OpenSSL_DIR})
    endif()
endforeach()

if(boringssl_package_dir AND TARGET OpenSSL::SSL AND TARGET OpenSSL::Crypto)
    set(BoringSSL_LIBRARIES_FROM ${boringssl_package_dir})
    if(NOT TARGET BoringSSL::SSL)
        add_library(BoringSSL::Crypto INTERFACE IMPORTED)
        target_link_libraries(BoringSSL::Crypto INTERFACE OpenSSL::Crypto)
        add_library(BoringSSL::SSL INTERFACE IMPORTED)
        target_link_libraries(BoringSSL::SSL INTERFACE OpenSSL::SSL BoringSSL::Crypto)
    endif()
else()
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
