# For the CMakeLists.txt of a firmware: Ringfence as a library of one object, made by tools/amalgamate.py.
#
#   include(path/to/ringfence/tools/cmake/RingfenceAmalgamate.cmake)    # or FetchContent, or add_subdirectory
#   ringfence_amalgamate(ringfence PARTS tlsf guard report)             # tools/amalgamate.py --list names them
#   target_link_libraries(firmware PRIVATE ringfence)                   # for #include "ringfence.h" as well
#
# FLAGS: --mode and the like, of tools/amalgamate.py, in place of --mode guard --no-malloc. The object is compiled with
# the flags of the toolchain and of the folder (CMAKE_C_FLAGS, add_compile_options); others are for
# target_compile_options(ringfence PRIVATE ...).
set_property(GLOBAL PROPERTY RINGFENCE_ROOT "${CMAKE_CURRENT_LIST_DIR}/../..")

function(ringfence_amalgamate target)
  cmake_parse_arguments(made "" "" "PARTS;FLAGS" ${ARGN})
  if("${made_PARTS}" STREQUAL "" OR NOT "${made_UNPARSED_ARGUMENTS}" STREQUAL "")
    message(FATAL_ERROR "ringfence_amalgamate(target PARTS part... [FLAGS flag...]): not '${ARGN}'")
  endif()
  if("${made_FLAGS}" STREQUAL "")
    set(made_FLAGS --mode guard --no-malloc)
  endif()
  if(NOT CMAKE_C_COMPILER_LOADED)
    message(FATAL_ERROR "ringfence_amalgamate: the project needs the language C, as in project(... LANGUAGES C CXX)")
  endif()
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  get_property(root GLOBAL PROPERTY RINGFENCE_ROOT)
  get_filename_component(root "${root}" ABSOLUTE)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${target}")
  file(GLOB_RECURSE sources "${root}/lib/*.[ch]" "${root}/lib/*.inc" "${root}/lib/BUILD.bazel"
    "${root}/checkers/*.[ch]" "${root}/checkers/*.inc" "${root}/checkers/BUILD.bazel")

  # Makefiles know the age of files alone, not the words of a command.
  file(WRITE "${folder}/words.new" "${made_FLAGS};${made_PARTS}\n")
  execute_process(COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${folder}/words.new" "${folder}/words")
  add_custom_command(OUTPUT "${folder}/ringfence.c" "${folder}/ringfence.h"
    COMMAND Python3::Interpreter "${root}/tools/amalgamate.py" ${made_FLAGS} ${made_PARTS} "${folder}"
    DEPENDS "${folder}/words" "${root}/tools/amalgamate.py" "${root}/VERSION" ${sources} VERBATIM)

  # Of objects, not an archive: a linker takes from that what is missed so far, and may take the C library's malloc.
  add_library(${target} OBJECT "${folder}/ringfence.c" "${folder}/ringfence.h")
  target_include_directories(${target} PUBLIC "${folder}")
  set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF UNITY_BUILD OFF)
endfunction()
