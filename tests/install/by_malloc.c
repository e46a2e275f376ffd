/* A test of macros: stands where a program has its own malloc. */
int by_malloc(void);

int by_malloc(void) {
  return 1;
}
