#include <ringfence/watch.h>

#if RF_WATCH
const rf_watcher *rf_watcher_of_process;
#endif
