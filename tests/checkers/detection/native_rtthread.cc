// RT-Thread's memory pool.
#include "tests/checkers/detection/native.h"

#include <ringfence/rtthread.h>

namespace ringfence::detection {
namespace {

alignas(16) unsigned char memory[1024];
struct rt_mempool pool;

unsigned char *take() {
  static bool made = rt_mp_init(&pool, "native", memory, sizeof memory, kNativeSize) == RT_EOK;
  return made ? static_cast<unsigned char *>(rt_mp_alloc(&pool, 0)) : nullptr;
}

bool give(unsigned char *p) {
  rt_mp_free(p);
  return true;
}

void end() {
  (void)rt_mp_detach(&pool);
}

} // namespace

std::vector<NativePool> rtthread_pools() {
  return {{"rt_mp", take, give, end}};
}

} // namespace ringfence::detection
