#include "tools/ringfence/run/pools.h"

#include "tools/ringfence/base/paths.h"

#include <stdlib.h>

/* From the documentation of each. PHP without its pools frees nothing when a script is broken off, and heeds no
 * memory_limit, unless it tracks its blocks. */
const rf_pool_variable rf_pool_variables[RF_POOL_VARIABLES] = {
    {"PYTHONMALLOC", "malloc"},          /* CPython, from 3.6 on */
    {"USE_ZEND_ALLOC", "0"},             /* PHP */
    {"USE_TRACKED_ALLOC", "1"},          /* PHP, from 8.1 on */
    {"G_SLICE", "always-malloc"},        /* GLib, before 2.76 */
    {"GLIBCXX_FORCE_NEW", "1"},          /* libstdc++'s pool_allocator and mt_allocator */
    {"NSS_DISABLE_ARENA_FREE_LIST", "1"} /* NSS and NSPR */
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

const char *rf_pools_of(const char *program) {
  const char *const file = rf_base_name(program);
  for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
    const char *const value = getenv(pools[i].variable);
    if (rf_begins_with(file, pools[i].file) && (value == NULL || !rf_begins_with(value, pools[i].off))) {
      return pools[i].name;
    }
  }
  return NULL;
}
