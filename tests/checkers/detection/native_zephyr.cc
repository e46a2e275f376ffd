// Zephyr's pools.
#include "tests/checkers/detection/native.h"

#include <ringfence/zephyr/mem_slab.h>
#include <ringfence/zephyr/sys/mem_blocks.h>

namespace ringfence::detection {
namespace {

SYS_MEM_BLOCKS_DEFINE_STATIC(blocks, 64, 8, 8);
K_MEM_SLAB_DEFINE_STATIC(slab, 64, 8, 8);

unsigned char *take_blocks() {
  void *p = nullptr;
  (void)sys_mem_blocks_alloc(&blocks, 1, &p);
  return static_cast<unsigned char *>(p);
}

bool give_blocks(unsigned char *p) {
  void *in = p;
  return sys_mem_blocks_free(&blocks, 1, &in) == 0;
}

unsigned char *take_slab() {
  void *p = nullptr;
  (void)k_mem_slab_alloc(&slab, &p, K_NO_WAIT);
  return static_cast<unsigned char *>(p);
}

bool give_slab(unsigned char *p) {
  k_mem_slab_free(&slab, p);
  return true;
}

} // namespace

std::vector<NativePool> zephyr_pools() {
  return {{"sys_mem_blocks", take_blocks, give_blocks, nullptr}, {"k_mem_slab", take_slab, give_slab, nullptr}};
}

} // namespace ringfence::detection
