# A test that runs under `ringfence check`, with the words of CMake's add_test, or with its name and its command alone:
#
#   ringfence_add_test(NAME name COMMAND command... [WORKING_DIRECTORY folder] [CONFIGURATIONS name...])
#   ringfence_add_test(name command...)
#
# A command that is the name of a target stands for the target's program.
function(ringfence_add_test)
  if("${ARGV0}" STREQUAL "NAME")
    cmake_parse_arguments(test "" "NAME;WORKING_DIRECTORY" "COMMAND;CONFIGURATIONS" ${ARGV})
  else()
    set(test_COMMAND ${ARGV})
    list(POP_FRONT test_COMMAND test_NAME)
  endif()
  if("${test_NAME}" STREQUAL "" OR "${test_COMMAND}" STREQUAL "")
    message(FATAL_ERROR "ringfence_add_test(NAME name COMMAND command...): a name and a command are needed")
  endif()
  set(options)
  foreach(option WORKING_DIRECTORY CONFIGURATIONS)
    if(NOT "${test_${option}}" STREQUAL "")
      list(APPEND options ${option} ${test_${option}})
    endif()
  endforeach()

  # A target may be made after this call.
  list(POP_FRONT test_COMMAND program)
  if(program MATCHES "^[A-Za-z0-9_.+-]+(::[A-Za-z0-9_.+-]+)*$")
    set(is_target "$<TARGET_EXISTS:${program}>")
    set(program "$<${is_target}:$<TARGET_FILE:${program}>>$<$<NOT:${is_target}>:${program}>")
  endif()

  set(checker ringfence::command)
  if(TARGET ringfence-command) # built here
    set(checker ringfence-command)
    if(NOT TARGET ringfence-command-for-tests) # no test makes the build build what it runs
      add_custom_target(ringfence-command-for-tests ALL)
      add_dependencies(ringfence-command-for-tests ringfence-command)
    endif()
  endif()
  add_test(NAME "${test_NAME}" COMMAND ${checker} check -- "${program}" ${test_COMMAND} ${options})
endfunction()
