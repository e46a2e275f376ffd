#include "beside_app.h"

#include "tkc/mem.h"
#include "tkc/mem_allocator_pool.h"
#include "tkc/mem_allocator_simple.h"
#include "tkc/mem_pool.h"
#include "tkc/types_def.h"

#ifndef OWN_TYPES_OF_AWTK
#error the types are not those of AWTK
#endif

int beside_types(void) {
  static uint8_t memory[4096];
  mem_allocator_simple_t simple;
  mem_allocator_t *const heap = mem_allocator_simple_init(&simple, memory, sizeof(memory));
  void *const p = MEM_ALLOCATOR_ALLOC(heap, 100);
  bool_t const inside = mem_allocator_simple_contains(heap, p);
  MEM_ALLOCATOR_FREE(heap, p);
  return p != NULL && inside && mem_allocator_destroy(heap) == RET_OK ? 0 : -1;
}

int std_malloc_stays(void) {
  static uint8_t memory[64 * 1024];
  ret_t const ret = tk_mem_init(memory, sizeof(memory));
  uint8_t *p = (uint8_t *)TKMEM_ALLOC(2 * sizeof(memory));
  bool_t const outside = p != NULL && (p < memory || p >= memory + sizeof(memory));
  TKMEM_FREE(p);
  rf_awtk_mem_deinit();
  return ret == RET_OK && outside ? 0 : -1;
}
