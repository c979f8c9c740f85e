# Install rules: headers, targets, and what find_package(podproxy CONFIG) needs to find the dependencies again.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(podproxy_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/podproxy)

install(TARGETS podproxy_core podproxy_codecs podproxy_podproxy EXPORT podproxyTargets FILE_SET HEADERS COMPONENT development)
install(EXPORT podproxyTargets NAMESPACE podproxy:: DESTINATION ${podproxy_package_dir} COMPONENT development)
configure_package_config_file(cmake/podproxyConfig.cmake.in podproxyConfig.cmake
    INSTALL_DESTINATION ${podproxy_package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(podproxyConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
        ${CMAKE_CURRENT_BINARY_DIR}/podproxyConfig.cmake
        ${CMAKE_CURRENT_BINARY_DIR}/podproxyConfigVersion.cmake
        cmake/PodproxyDependencies.cmake
        cmake/FindAsio.cmake
        cmake/FindBoringSSL.cmake
    DESTINATION ${podproxy_package_dir} COMPONENT development)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT development)
