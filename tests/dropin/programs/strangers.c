/* Bugs with memory that the C library has in its hands, and with what is the program's, but no block. As bugs.c. */
#define _GNU_SOURCE
#include "cases.h"
#include "marks.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- The program break ---- */

/* Memory of the program break, or where the C library gives none (musl), other memory that is no block. */
static char *of_the_break(void) {
  static char instead[8192];
  char *const p = sbrk(8192);
  return p != (char *)-1 ? p : instead;
}

/* At its beginning, where nothing lies before, and inside. */
static void free_of_the_break(void) {
  char *const p = make(10);
  char *const ours = of_the_break();
  mark("found");
  free(bad ? ours : p);
}

static void free_inside_the_break(void) {
  char *const p = make(10);
  char *const ours = of_the_break();
  memset(ours, 0x21, 8192);
  mark("found");
  free(bad ? ours + 1600 : p);
}

static void realloc_of_the_break(void) {
  char *const p = make(10);
  char *const ours = of_the_break();
  mark("found");
  free(realloc(bad ? ours : p, 20));
}

/* ---- Streams that write out of a freed block ---- */

static FILE *with_buffer(char *buffer) {
  FILE *const stream = fopen("/dev/null", "w");
  setvbuf(stream, buffer, _IOFBF, 512);
  fputs("waits in the buffer", stream);
  if (bad) {
    free(buffer);
  }
  return stream;
}

static void fclose_after_free_of_its_buffer(void) {
  char *const p = make(512);
  FILE *const stream = with_buffer(p);
  mark("found");
  fclose(stream);
  free(bad ? NULL : p);
}

static void fflush_after_free_of_its_buffer(void) {
  char *const p = make(512);
  FILE *const stream = with_buffer(p);
  mark("found");
  fflush(stream);
  fclose(stream);
  free(bad ? NULL : p);
}

static void freopen_after_free_of_its_buffer(void) {
  char *const p = make(512);
  FILE *stream = with_buffer(p);
  mark("found");
  stream = freopen("/dev/null", "w", stream);
  fclose(stream);
  free(bad ? NULL : p);
}

static void fflush_of_all_after_free_of_a_buffer(void) {
  char *const p = make(512);
  FILE *const stream = with_buffer(p);
  mark("found");
  fflush(NULL);
  fclose(stream);
  free(bad ? NULL : p);
}

static void exit_after_free_of_a_buffer(void) {
  with_buffer(make(512));
}

int main(int argc, char **argv) {
  static const test_case cases[] = {
      CASE(free_of_the_break),
      CASE(free_inside_the_break),
      CASE(realloc_of_the_break),
      CASE(fclose_after_free_of_its_buffer),
      CASE(fflush_after_free_of_its_buffer),
      CASE(freopen_after_free_of_its_buffer),
      CASE(fflush_of_all_after_free_of_a_buffer),
      CASE(exit_after_free_of_a_buffer),
  };
  return run_case(cases, sizeof cases / sizeof cases[0], argc, argv);
}
