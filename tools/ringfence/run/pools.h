/* Programs and libraries that serve small requests from pools of their own, so that the checkers see neither these
 * blocks nor what is written behind them, and the variables of the environment that have them ask malloc each time. */
#ifndef RINGFENCE_TOOLS_RUN_POOLS_H
#define RINGFENCE_TOOLS_RUN_POOLS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Variable number `i`, "NAME=VALUE"; NULL behind the last one. */
const char *rf_pools_variable(size_t i);

/* Those of `program` (its path): "Python", or NULL where none is known, or this process's environment turns it off. */
const char *rf_pools_of(const char *program);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RUN_POOLS_H */
