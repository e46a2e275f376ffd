/* Programs and libraries that serve small requests from pools of their own, so that the checkers see neither these
 * blocks nor what is written behind them, and the variables of the environment that have them ask malloc each time. */
#ifndef RINGFENCE_TOOLS_RUN_POOLS_H
#define RINGFENCE_TOOLS_RUN_POOLS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_pool_variable {
  const char *name;
  const char *value; /* that turns pools off */
} rf_pool_variable;

enum { RF_POOL_VARIABLES = 6 };

extern const rf_pool_variable rf_pool_variables[RF_POOL_VARIABLES];

/* The language or library whose pools `program` (a path) uses, for example "Python". NULL if no pools of it are known,
 * or if the environment of this process turns them off. */
const char *rf_pools_of(const char *program);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RUN_POOLS_H */
