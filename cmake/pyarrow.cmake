# Arrow C++ out of the wheel of pyarrow, for tests on systems that have no package of it (Debian 12).
# scripts/pyarrow puts the wheel into a virtual environment. The targets have the names of Arrow's own
# packages. The wheel's libraries need the C++ library of GCC 8 or later.

set(headway_arrow_dir ${HEADWAY_PYARROW_DIR}/arrow)
file(GLOB headway_arrow_library ${headway_arrow_dir}/libarrow.so.*)
file(GLOB headway_parquet_library ${headway_arrow_dir}/libparquet.so.*)
if(headway_arrow_library AND headway_parquet_library)
  add_library(Arrow::arrow_shared SHARED IMPORTED)
  set_target_properties(Arrow::arrow_shared PROPERTIES
    IMPORTED_LOCATION ${headway_arrow_library}
    INTERFACE_INCLUDE_DIRECTORIES ${headway_arrow_dir}/include)
  add_library(Parquet::parquet_shared SHARED IMPORTED)
  set_target_properties(Parquet::parquet_shared PROPERTIES
    IMPORTED_LOCATION ${headway_parquet_library}
    INTERFACE_LINK_LIBRARIES Arrow::arrow_shared)
  file(GLOB headway_compute_library ${headway_arrow_dir}/libarrow_compute.so.*)
  add_library(ArrowCompute::arrow_compute_shared SHARED IMPORTED)
  set_target_properties(ArrowCompute::arrow_compute_shared PROPERTIES
    IMPORTED_LOCATION ${headway_compute_library}
    INTERFACE_LINK_LIBRARIES Arrow::arrow_shared)
endif()
