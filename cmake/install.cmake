# Installs the library, its headers under include/headway, a CMake package, a pkg-config file and the
# documentation. The installed tree can be moved: nothing in it names the prefix.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(headway_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/headway)

install(TARGETS headway EXPORT headway-targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT headway-targets NAMESPACE headway:: DESTINATION ${headway_cmake_dir})

install(DIRECTORY ${headway_header_dir}/headway DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

configure_package_config_file(cmake/headway-config.cmake.in headway-config.cmake
                              INSTALL_DESTINATION ${headway_cmake_dir})
write_basic_package_version_file(headway-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/headway-config.cmake
              ${PROJECT_BINARY_DIR}/headway-config-version.cmake
        DESTINATION ${headway_cmake_dir})

list(TRANSFORM HEADWAY_ABSL_PARTS PREPEND absl_ OUTPUT_VARIABLE headway_pc_requires)
# The library is static.
list(APPEND headway_pc_requires libuv libsodium sqlite3 libzstd zlib simdjson)
if(PQ_FOUND)
  list(APPEND headway_pc_requires libpq)
endif()
list(JOIN headway_pc_requires ", " headway_pc_requires)
file(RELATIVE_PATH headway_pc_prefix
     ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/headway.pc.in headway.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/headway.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(headway_doc_dir ${CMAKE_INSTALL_DATAROOTDIR}/doc/headway)
install(FILES README.md CHANGELOG.md LICENSE SECURITY.md DESTINATION ${headway_doc_dir})
install(DIRECTORY docs DESTINATION ${headway_doc_dir})
