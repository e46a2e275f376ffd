// The options of AddressSanitizer in a test that goes on after each error.

// One report for each error, without names, which take long to find.
extern "C" const char *__asan_default_options(void) {
  return "halt_on_error=0:suppress_equal_pcs=0:symbolize=0";
}
