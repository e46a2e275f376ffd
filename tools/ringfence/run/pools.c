#include "tools/ringfence/run/pools.h"

#include <stdlib.h>
#include <string.h>

/* From the documentation of each. PHP without its pools frees nothing when a script is broken off, and heeds no
 * memory_limit, unless it tracks its blocks. */
static const char *const variables[] = {
    "PYTHONMALLOC=malloc",          /* CPython, from 3.6 on */
    "USE_ZEND_ALLOC=0",             /* PHP */
    "USE_TRACKED_ALLOC=1",          /* PHP, from 8.1 on */
    "G_SLICE=always-malloc",        /* GLib, before 2.76 */
    "GLIBCXX_FORCE_NEW=1",          /* libstdc++'s pool_allocator and mt_allocator */
    "NSS_DISABLE_ARENA_FREE_LIST=1" /* NSS and NSPR */
};

/* By how the names of files begin; a library within another program (libpython in gdb) is not seen. */
static const struct {
  const char *file;
  const char *name;
  const char *variable;
  const char *off; /* how a value begins that turns the pools off */
} pools[] = {
    {"python", "Python", "PYTHONMALLOC", "malloc"},
    {"php", "PHP", "USE_ZEND_ALLOC", "0"},
};

const char *rf_pools_variable(size_t i) {
  return i < sizeof variables / sizeof variables[0] ? variables[i] : NULL;
}

static bool begins_with(const char *text, const char *beginning) {
  return strncmp(text, beginning, strlen(beginning)) == 0;
}

const char *rf_pools_of(const char *program) {
  const char *const slash = strrchr(program, '/');
  const char *const file = slash != NULL ? slash + 1 : program;
  for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
    const char *const value = getenv(pools[i].variable);
    if (begins_with(file, pools[i].file) && (value == NULL || !begins_with(value, pools[i].off))) {
      return pools[i].name;
    }
  }
  return NULL;
}
