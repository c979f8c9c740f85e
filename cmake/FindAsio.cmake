# Finds standalone Asio: a CMake package named asio (Conan), or the headers in CMAKE_PREFIX_PATH or the system.
# A version that is too old is passed over for a newer one further down the path.
#
# Gives the target Asio::asio and Asio_VERSION, Asio_INCLUDE_DIR.

find_package(asio CONFIG QUIET)

set(asio_candidates ${asio_INCLUDE_DIRS})
if(Asio_INCLUDE_DIR)
    list(PREPEND asio_candidates ${Asio_INCLUDE_DIR})
endif()
foreach(prefix IN LISTS CMAKE_PREFIX_PATH CMAKE_SYSTEM_PREFIX_PATH)
    list(APPEND asio_candidates ${prefix}/include)
endforeach()

unset(Asio_VERSION)
set(asio_seen)
foreach(folder IN LISTS asio_candidates)
    if(NOT EXISTS ${folder}/asio/version.hpp)
        continue()
    endif()
    file(STRINGS ${folder}/asio/version.hpp line REGEX "^#define ASIO_VERSION [0-9]+")
    string(REGEX REPLACE "^#define ASIO_VERSION ([0-9]+).*" "\\1" number "${line}")
    math(EXPR major "${number} / 100000")
    math(EXPR minor "${number} / 100 % 1000")
    math(EXPR patch "${number} % 100")
    set(version ${major}.${minor}.${patch})
    list(APPEND asio_seen "${version} in ${folder}")
    if(NOT version VERSION_LESS "${Asio_FIND_VERSION}")
        set(Asio_VERSION ${version})
        set(Asio_INCLUDE_DIR ${folder} CACHE PATH "The folder that holds asio.hpp" FORCE)
        break()
    endif()
endforeach()
if(NOT Asio_VERSION)
    set(Asio_INCLUDE_DIR Asio_INCLUDE_DIR-NOTFOUND)
    list(REMOVE_DUPLICATES asio_seen)
    string(REPLACE ";" ", " asio_seen "${asio_seen}")
    set(Asio_NOT_FOUND_MESSAGE "run scripts/setup, or name a folder in CMAKE_PREFIX_PATH; seen: ${asio_seen}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Asio
    REQUIRED_VARS Asio_INCLUDE_DIR VERSION_VAR Asio_VERSION REASON_FAILURE_MESSAGE "${Asio_NOT_FOUND_MESSAGE}")

if(Asio_FOUND AND NOT TARGET Asio::asio)
    find_package(Threads REQUIRED)
    add_library(Asio::asio INTERFACE IMPORTED)
    target_include_directories(Asio::asio INTERFACE ${Asio_INCLUDE_DIR})
    target_link_libraries(Asio::asio INTERFACE Threads::Threads)
endif()
