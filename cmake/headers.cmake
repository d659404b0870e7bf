# The headers as others see them: copies below headway/ whose includes begin with "headway/". The
# target headway_headers makes them in ${headway_header_dir}.
#
# As a script (cmake -DSOURCE=... -DDESTINATION=... [-DHEADERS=...] -P headers.cmake) it writes the
# copies that are missing or old, and removes those whose header has gone. HEADERS are paths from
# SOURCE; without them they are the headers of the library.

if(CMAKE_SCRIPT_MODE_FILE)
  set(headers ${HEADERS})
  if(NOT headers)
    file(GLOB headers RELATIVE ${SOURCE} ${SOURCE}/*.h)
    foreach(folder IN ITEMS progress comm engine operators)
      file(GLOB_RECURSE found RELATIVE ${SOURCE} ${SOURCE}/${folder}/*.h)
      list(APPEND headers ${found})
    endforeach()
    list(FILTER headers EXCLUDE REGEX "_generated\\.h$")  # for the library's own sources
  endif()
  foreach(header IN LISTS headers)
    file(READ ${SOURCE}/${header} text)
    string(REGEX REPLACE "#include \"((progress|comm|engine|operators)/|(check|format)\\.h)"
                         "#include \"headway/\\1" text "${text}")
    foreach(other IN LISTS HEADERS)
      string(REPLACE "#include \"${other}\"" "#include \"headway/${other}\"" text "${text}")
    endforeach()
    file(CONFIGURE OUTPUT ${DESTINATION}/headway/${header} CONTENT "${text}" @ONLY)
  endforeach()
  file(GLOB_RECURSE copies RELATIVE ${DESTINATION}/headway ${DESTINATION}/headway/*.h)
  if(copies)
    list(REMOVE_ITEM copies ${headers})
    foreach(copy IN LISTS copies)
      file(REMOVE ${DESTINATION}/headway/${copy})
    endforeach()
  endif()
  return()
endif()

set(headway_header_dir ${PROJECT_BINARY_DIR}/headers)
file(GLOB_RECURSE headway_headers CONFIGURE_DEPENDS progress/*.h comm/*.h engine/*.h operators/*.h)
file(GLOB headway_root_headers CONFIGURE_DEPENDS *.h)
add_custom_command(
  OUTPUT ${PROJECT_BINARY_DIR}/headers.stamp
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DDESTINATION=${headway_header_dir}
          -P ${CMAKE_CURRENT_LIST_FILE}
  COMMAND ${CMAKE_COMMAND} -E touch ${PROJECT_BINARY_DIR}/headers.stamp
  DEPENDS ${headway_headers} ${headway_root_headers} ${CMAKE_CURRENT_LIST_FILE} VERBATIM)
add_custom_target(headway_headers ALL DEPENDS ${PROJECT_BINARY_DIR}/headers.stamp)
