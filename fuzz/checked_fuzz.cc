// checked: one call that wraps a heap, a heap of handles or the pools of a process, by options of every kind. A correct
// program is silent in each mode, and snapshots have what it holds; after one error exactly one finding of the right
// kind follows where the mode looks for it, to the reporter given, to a log, or to the process's own.
#include "checked_programs.h"

#include <ringfence/watch.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ringfence::fuzz;
  Reader in(data, size);
  switch (in.u8() % 6) {
  case 0:
    run_checked_handles(in);
    break;
#if RF_WATCH
  case 1:
  case 2:
    run_checked_pools(in);
    break;
#endif
  default:
    run_checked_heap(in);
    break;
  }
  return 0;
}
