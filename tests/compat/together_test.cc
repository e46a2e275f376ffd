// The five systems' headers in one program, in C and in C++, and in this order of inclusion as well as in the other.
#include <ringfence/zephyr.h>

#include <ringfence/ucgui.h>

#include <ringfence/rtthread.h>

#include <ringfence/goahead.h>

#include <ringfence/awtk.h>

#include <gtest/gtest.h>

#include "together_app.h"

namespace {

TEST(Together, AllFiveServeInOneProgram) {
  EXPECT_EQ(5, together());
}

TEST(Together, AllFiveServeCppToo) {
  alignas(8) static char memory[1024];
  struct sys_heap heap;
  sys_heap_init(&heap, memory, sizeof memory);
  void *const of_zephyr = sys_heap_alloc(&heap, 100);
  GUI_HMEM of_ucgui = GUI_ALLOC_AllocZero(100);
  alignas(16) static char more_memory[4096];
  rt_system_heap_init(more_memory, more_memory + sizeof more_memory);
  void *const of_rtthread = rt_malloc(100);
  wopenAlloc(nullptr, 0, WEBS_USE_MALLOC);
  void *const of_goahead = alloc(100);
  char *of_awtk = static_cast<char *>(TKMEM_ALLOC(100));
  EXPECT_NE(nullptr, of_zephyr);
  EXPECT_NE(0, of_ucgui);
  EXPECT_NE(nullptr, of_rtthread);
  EXPECT_NE(nullptr, of_goahead);
  EXPECT_NE(nullptr, of_awtk);
  sys_heap_free(&heap, of_zephyr);
  GUI_ALLOC_FreePtr(&of_ucgui);
  GUI_ALLOC_Exit();
  rt_free(of_rtthread);
  rt_system_heap_init(RT_NULL, RT_NULL);
  wfree(of_goahead);
  wcloseAlloc();
  TKMEM_FREE(of_awtk);
}

} // namespace
