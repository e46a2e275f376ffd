/* Code for all five systems in one file: their names do not get in each other's way. */
#include "together_app.h"

#include <ringfence/awtk.h>
#include <ringfence/goahead.h>
#include <ringfence/rtthread.h>
#include <ringfence/ucgui.h>
#include <ringfence/zephyr.h>

static struct sys_heap the_sys_heap;
static char the_sys_memory[1024] __aligned(8);
static rt_uint8_t the_rt_memory[4096] __aligned(16);
static rt_uint8_t the_simple_memory[1024];

/* Calls of names that GoAhead has, too: of another number of arguments, and of members. */
struct own_allocator {
  void *(*alloc)(struct own_allocator *self, size_t size);
};

static void *own_alloc(struct own_allocator *self, size_t size) {
  (void)self;
  return alloc((int)size);
}

int together(void) {
  struct own_allocator own = {own_alloc};
  mem_allocator_simple_t simple;
  mem_allocator_t *const awtk = mem_allocator_simple_init(&simple, the_simple_memory, sizeof the_simple_memory);
  void *const of_awtk = MEM_ALLOCATOR_ALLOC(awtk, 100);
  wopenAlloc(NULL, 0, WEBS_USE_MALLOC);
  void *const of_goahead = own.alloc(&own, 100);
  rt_system_heap_init(the_rt_memory, the_rt_memory + sizeof the_rt_memory);
  void *const of_rtthread = rt_malloc(100);
  GUI_HMEM of_ucgui = GUI_ALLOC_AllocZero(100);
  sys_heap_init(&the_sys_heap, the_sys_memory, sizeof the_sys_memory);
  void *const of_zephyr = sys_heap_alloc(&the_sys_heap, 100);

  int const served =
      (of_awtk != NULL) + (of_goahead != NULL) + (of_rtthread != NULL) + (of_ucgui != 0) + (of_zephyr != NULL);
  MEM_ALLOCATOR_FREE(awtk, of_awtk);
  mem_allocator_destroy(awtk);
  wfree(of_goahead);
  wcloseAlloc();
  rt_free(of_rtthread);
  rt_system_heap_init(RT_NULL, RT_NULL);
  GUI_ALLOC_FreePtr(&of_ucgui);
  GUI_ALLOC_Exit();
  sys_heap_free(&the_sys_heap, of_zephyr);
  return served;
}
