/* rf_checked_pools: pools that are used by their own calls, checked as the build, the program and the environment say.
 *
 * Nothing need be called: in a program with //checkers the first pool that begins looks at the options of the process.
 * In modes guard and page, free blocks are filled and compared (pool_watch.h), unless `pools=0`; at the end of the
 * program those of static pools, too. Mode asan is told of every block (track.h).
 */
#ifndef RINGFENCE_CHECKED_POOLS_H
#define RINGFENCE_CHECKED_POOLS_H

#include <ringfence/checked.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The same with options of the program's: from now on, for pools that begin later and for those that are watched
 * already; in modes off and sample, and with `pools=0`, none is. NULL: those of the process. Before other threads use
 * pools. Returns the mode in force. */
rf_mode rf_checked_pools_init(const rf_checked_options *options);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_CHECKED_POOLS_H */
