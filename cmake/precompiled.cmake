# Parsing headway.h takes longer than compiling a typical test or example: it is parsed once for all of
# them. The installation test and the shared libraries do without.

# For builds that run often. Headers of the library are not precompiled for it: their names must not be
# in the way of those in its files. The preset release-clang compiles each file alone and without, and
# finds missing includes.
option(HEADWAY_BATCH_LIBRARY "Compile files of the library together, with a precompiled header" OFF)
if(HEADWAY_BATCH_LIBRARY)
  set_target_properties(headway PROPERTIES UNITY_BUILD ON)
  target_precompile_headers(headway PRIVATE
    <algorithm> <functional> <map> <memory> <mutex> <optional> <string> <variant> <vector>
    <absl/functional/any_invocable.h> <absl/status/statusor.h> <absl/strings/str_format.h>
    <absl/time/time.h>)
endif()

# headway_add_precompiled(name option...): the header, precompiled with these options.
file(CONFIGURE OUTPUT headway_precompiled.cc CONTENT "")
function(headway_add_precompiled name)
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${PROJECT_BINARY_DIR}/headway_precompiled.cc)
  target_precompile_headers(${name} PRIVATE <headway/headway.h>)
  target_link_libraries(${name} PRIVATE headway headway_warnings)
  target_compile_options(${name} PRIVATE ${ARGN})
endfunction()
headway_add_precompiled(headway_precompiled)
headway_add_precompiled(headway_precompiled_unoptimized -O0)

# headway_use_precompiled(target from): TARGET is an executable that links headway and
# headway_warnings. FROM has the same options; their names say which.
function(headway_use_precompiled target from)
  target_precompile_headers(${target} REUSE_FROM ${from})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # The bug that CMakeLists.txt names at -Wno-restrict: there the warnings are hidden because they
    # point into a system header, which a precompiled one does not remember.
    target_compile_options(${target} PRIVATE -Wno-stringop-overflow -Wno-array-bounds)
  endif()
endfunction()
