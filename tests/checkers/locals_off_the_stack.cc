// For tests of what an address is.

// With AddressSanitizer: locals lie elsewhere than on the stack, as its newer versions have it unless told otherwise.
extern "C" const char *__asan_default_options() {
  return "detect_stack_use_after_return=1";
}
