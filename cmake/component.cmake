set_property(TARGET headway PROPERTY HEADWAY_VERSION ${PROJECT_VERSION})

# headway_add_component(name SOURCES sources... [HEADERS headers...] [LINK targets...]
#                       [PKG_CONFIG modules...]): a part of
# Headway beside the core, for example one with dependencies of its own. It is the target
# headway::<name> here and in an installation, where users find it with
# find_package(headway COMPONENTS <name>) or pkg-config's headway-<name>.
#
# HEADERS are paths from the folder of the caller, as the includes of the component name them; users
# include them below headway/. LINK are targets that it needs besides headway::headway; an installed
# component can link only targets that headway-config.cmake finds. PKG_CONFIG are the modules of
# pkg-config that they stand for. A packager installs the
# component alone with `cmake --install --component headway_<name>`.
function(headway_add_component name)
  cmake_parse_arguments(PARSE_ARGV 1 component "" "" "SOURCES;HEADERS;LINK;PKG_CONFIG")
  if(component_UNPARSED_ARGUMENTS OR NOT component_SOURCES)
    message(FATAL_ERROR "headway_add_component(${name}): expected SOURCES, HEADERS, LINK and PKG_CONFIG, got "
                        "\"${component_UNPARSED_ARGUMENTS}\"")
  endif()
  include(GNUInstallDirs)
  set(target headway_${name})
  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/headway)
  set(staged ${CMAKE_CURRENT_BINARY_DIR}/${target}_headers)

  add_library(${target} STATIC ${component_SOURCES})
  add_library(headway::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${target} PUBLIC headway ${component_LINK}
                        PRIVATE $<BUILD_INTERFACE:headway_warnings>)
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}
                                               ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/..
                             INTERFACE $<BUILD_INTERFACE:${staged}>)

  if(component_HEADERS)
    list(TRANSFORM component_HEADERS PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ OUTPUT_VARIABLE originals)
    set(script ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/headers.cmake)
    add_custom_command(
      OUTPUT ${staged}.stamp
      COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_CURRENT_SOURCE_DIR} -DDESTINATION=${staged}
              "-DHEADERS=${component_HEADERS}" -P ${script}
      COMMAND ${CMAKE_COMMAND} -E touch ${staged}.stamp
      DEPENDS ${originals} ${script} VERBATIM)
    add_custom_target(${target}_headers DEPENDS ${staged}.stamp)
    add_dependencies(${target} ${target}_headers)
    install(DIRECTORY ${staged}/headway DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT ${target})
  endif()

  install(TARGETS ${target} EXPORT headway-${name}-targets COMPONENT ${target}
          INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT headway-${name}-targets NAMESPACE headway:: DESTINATION ${package_dir}
          COMPONENT ${target})
  set(headway_component ${name})
  list(TRANSFORM component_PKG_CONFIG PREPEND ", ")
  string(CONCAT headway_component_requires ${component_PKG_CONFIG})
  get_target_property(headway_component_version headway HEADWAY_VERSION)
  configure_file(${CMAKE_CURRENT_FUNCTION_LIST_DIR}/headway-component.pc.in headway-${name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/headway-${name}.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT ${target})
endfunction()

# headway_add_connector(name [LINK targets...] [PKG_CONFIG modules...]): the component of the folder
# operators/<name>.
function(headway_add_connector name)
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} operators/${name}/*.cc)
  file(GLOB headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} operators/${name}/*.h)
  headway_add_component(${name} SOURCES ${sources} HEADERS ${headers} ${ARGN})
endfunction()
