# A test that runs under `ringfence check`, with the words of CMake's add_test, or with its name and its command alone:
#
#   ringfence_add_test(NAME name COMMAND command... [WORKING_DIRECTORY folder] [CONFIGURATIONS name...])
#   ringfence_add_test(name command...)
#
# A command that is the name of a target stands for the target's program.
function(ringfence_add_test)
  # By ARGV0, ARGV1 …: in ARGV an argument with a semicolon is several, one that is empty is none, and one that ends in
  # a backslash joins the next. In a list such arguments stay what they are as generator expressions.
  set(words)
  set(index 0)
  while(index LESS ARGC)
    string(REPLACE ";" "$<SEMICOLON>" word "${ARGV${index}}")
    if(word MATCHES "^$|\\\\$")
      string(APPEND word "$<1:>")
    endif()
    list(APPEND words "${word}")
    math(EXPR index "${index} + 1")
  endwhile()
  if("${ARGV0}" STREQUAL "NAME")
    cmake_parse_arguments(test "" "NAME;WORKING_DIRECTORY" "COMMAND;CONFIGURATIONS" ${words})
    string(REPLACE "$<1:>" "" test_NAME "${test_NAME}")
  else()
    set(test_NAME "${ARGV0}")
    set(test_COMMAND)
    if(ARGC GREATER 1)
      list(SUBLIST words 1 -1 test_COMMAND)
    endif()
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

  list(GET test_COMMAND 0 program)
  list(REMOVE_AT test_COMMAND 0)

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
  add_test(NAME "${test_NAME}" COMMAND ${checker} check -- "${program}" ${test_COMMAND} ${options})
endfunction()
