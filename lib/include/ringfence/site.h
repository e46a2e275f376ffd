/* Call sites: where in the program an allocator was called.
 *
 * A site is one static record per call, so carrying it costs one pointer. Code that is built with RF_SITES=1 (what
 * //checkers gives its users in every mode but off) makes the records; otherwise RF_HERE is a null constant and the
 * record does not exist. Both kinds of code may call the same allocator: the interface is the same in both.
 */
#ifndef RINGFENCE_SITE_H
#define RINGFENCE_SITE_H

#include <stddef.h>

typedef struct rf_site {
  const char *file;
  const char *function;
  unsigned line;
} rf_site;

#ifndef RF_SITES
#define RF_SITES 0
#endif

#if RF_SITES
#define RF_HERE                                                                                                        \
  __extension__({                                                                                                      \
    static const rf_site rf_site_here_ = {__FILE__, __func__, __LINE__};                                               \
    &rf_site_here_;                                                                                                    \
  })
#else
#define RF_HERE ((const rf_site *)NULL)
#endif

#endif /* RINGFENCE_SITE_H */
