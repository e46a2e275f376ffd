# A test that runs under `ringfence check`, with the words of CMake's add_test, or with its name and its command alone:
#
#   ringfence_add_test(NAME name COMMAND command... [WORKING_DIRECTORY folder] [CONFIGURATIONS name...])
#   ringfence_add_test(name command...)
#
# A command that is the name of a target stands for the target's program.
function(ringfence_add_test)
  # By ARGV0, ARGV1 …: in ARGV an argument with a semicolon is several, and one that is empty is none.
  if("${ARGV0}" STREQUAL "NAME")
    cmake_parse_arguments(PARSE_ARGV 0 test "" "NAME;WORKING_DIRECTORY" "COMMAND;CONFIGURATIONS")
  else()
    cmake_parse_arguments(PARSE_ARGV 1 after "" "" "")
    set(test_NAME "${ARGV0}")
    set(test_COMMAND "${after_UNPARSED_ARGUMENTS}")
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

  # In a list, too, such arguments stay what they are as generator expressions.
  set(program)
  set(arguments)
  foreach(word IN LISTS test_COMMAND)
    string(REPLACE ";" "$<SEMICOLON>" word "${word}")
    if("${program}" STREQUAL "")
      set(program "${word}")
    elseif("${word}" STREQUAL "")
      list(APPEND arguments "$<1:>")
    else()
      list(APPEND arguments "${word}")
    endif()
  endforeach()

  # A target may be made after this call.
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
  add_test(NAME "${test_NAME}" COMMAND ${checker} check -- "${program}" ${arguments} ${options})
endfunction()
