/* Code as it is written for AWTK: 0, or the line on which something was not as it is there. */
#ifndef TESTS_COMPAT_AWTK_APP_H
#define TESTS_COMPAT_AWTK_APP_H

#include "tkc/mem_allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Each of the calls and macros of tkc/mem.h, on the heap that there is. */
int app_strings(void);
int app_objects(void);

/* Its argument checks. */
int app_checks(void);

/* As a key handler that prints the heap. */
ret_t app_on_key(int key);

/* An allocator with a vtable of its own: blocks from a buffer, one behind the other, never used again. */
typedef struct _bump_t {
  mem_allocator_t allocator;
  char *next;
  char *end;
  uint32_t live;
  uint32_t destroyed;
} bump_t;
mem_allocator_t *bump_init(bump_t *bump, char *buffer, uint32_t size);

/* The decorators, stacked by hand over a buffer as tk_mem_init does. */
int app_stack(char *buffer, uint32_t size);

#ifdef __cplusplus
}
#endif

#endif
