# Parsing headway.h takes longer than compiling a typical test or example: it is parsed once for all of
# them. The library, the documentation's programs, the installation test and the shared libraries do
# without, which keeps the includes of every file complete.

file(CONFIGURE OUTPUT headway_precompiled.cc CONTENT "")
add_library(headway_precompiled OBJECT EXCLUDE_FROM_ALL ${PROJECT_BINARY_DIR}/headway_precompiled.cc)
target_precompile_headers(headway_precompiled PRIVATE <headway/headway.h>)
target_link_libraries(headway_precompiled PRIVATE headway headway_warnings)

# headway_use_precompiled(target): TARGET is an executable that links headway and headway_warnings.
function(headway_use_precompiled target)
  target_precompile_headers(${target} REUSE_FROM headway_precompiled)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # The bug that CMakeLists.txt names at -Wno-restrict: there the warnings are hidden because they
    # point into a system header, which a precompiled one does not remember.
    target_compile_options(${target} PRIVATE -Wno-stringop-overflow -Wno-array-bounds)
  endif()
endfunction()
