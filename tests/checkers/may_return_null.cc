// For tests of requests that no allocator can serve.

// Sanitizers shall answer them with NULL.
extern "C" const char *__asan_default_options() {
  return "allocator_may_return_null=1";
}

extern "C" const char *__tsan_default_options() {
  return "allocator_may_return_null=1";
}
