# The programs in README.md and docs/*.md are compiled, run and their output compared, so that the
# documentation cannot rot. extract_snippets.py says what counts as a program.

find_package(Python3 REQUIRED COMPONENTS Interpreter)
file(GLOB pages CONFIGURE_DEPENDS README.md docs/*.md)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
             ${pages} ${CMAKE_CURRENT_LIST_DIR}/extract_snippets.py)

set(snippet_dir ${PROJECT_BINARY_DIR}/snippets)
execute_process(
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/extract_snippets.py ${snippet_dir} ${pages}
  OUTPUT_VARIABLE snippets OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" snippets "${snippets}")

foreach(line IN LISTS snippets)
  string(REGEX REPLACE ".* " "" snippet ${line})
  if(line MATCHES "^library ")
    add_library(snippet_${snippet} MODULE ${snippet_dir}/${snippet}.cc)
    target_link_libraries(snippet_${snippet} PRIVATE headway headway_warnings)
    continue()
  endif()
  add_executable(snippet_${snippet} ${snippet_dir}/${snippet}.cc)
  target_link_libraries(snippet_${snippet} PRIVATE headway headway_warnings)
  target_compile_options(snippet_${snippet} PRIVATE -O0)  # they run for an instant, and are many
  headway_use_precompiled(snippet_${snippet} headway_precompiled_unoptimized)
  add_test(NAME docs/${snippet}
           COMMAND ${PROJECT_SOURCE_DIR}/tests/compare_output.sh ${snippet_dir}/${snippet}.txt
                   $<TARGET_FILE:snippet_${snippet}>
           WORKING_DIRECTORY ${snippet_dir})
endforeach()
