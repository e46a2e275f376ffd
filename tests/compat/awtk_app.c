#include "awtk_app.h"

#include "tkc/mem.h"
#include "tkc/mem_allocator_debug.h"
#include "tkc/mem_allocator_lock.h"
#include "tkc/mem_allocator_oom.h"
#include "tkc/mem_allocator_pool.h"
#include "tkc/mem_allocator_simple.h"

#define CHECK(condition)                                                                                               \
  if (!(condition)) {                                                                                                  \
    return __LINE__;                                                                                                   \
  }

int app_strings(void) {
  char *str = (char *)TKMEM_ALLOC(100);
  CHECK(str != NULL);
  memset(str, 'a', 99);
  str[99] = '\0';
  CHECK(TK_IS_VALID_ADDR(str));
  str = (char *)TKMEM_REALLOC(str, 128);
  CHECK(str != NULL);
  CHECK(strlen(str) == 99);
  TKMEM_FREE(str);
  CHECK(str == NULL);
  TKMEM_FREE(str);
  return 0;
}

typedef struct _point_t {
  int32_t x;
  int32_t y;
  void *more;
} point_t;

static ret_t point_grow(point_t **points, uint32_t n) {
  point_t *const grown = TKMEM_REALLOCT(point_t, *points, n);
  return_value_if_fail(grown != NULL, RET_OOM);
  *points = grown;
  return RET_OK;
}

int app_objects(void) {
  point_t *one = TKMEM_ZALLOC(point_t);
  point_t *many = TKMEM_ZALLOCN(point_t, 20);
  uint8_t *bytes = (uint8_t *)TKMEM_CALLOC(7, 3);
  CHECK(one != NULL && many != NULL && bytes != NULL);
  CHECK(one->x == 0 && one->more == NULL && many[19].y == 0 && bytes[20] == 0);
  many[19].y = 5;
  CHECK(point_grow(&many, 50) == RET_OK);
  CHECK(many[19].y == 5);
  CHECK(point_grow(&many, 0x20000000) == RET_OOM);
  CHECK(TKMEM_CALLOC(0x10000, 0x10001) == NULL);
  TKMEM_FREE(bytes);
  TKMEM_FREE(one);
  TKMEM_FREE(many);
  return 0;
}

/* ---- Its checks ---- */

TK_STATIC_ASSERT(RET_BAD_PARAMS > RET_OK && RET_MAX_NR > RET_BAD_PARAMS);

/* Without braces: their ifs must not take our else. */
static ret_t fail_unless(bool_t fine, int *steps) {
  if (steps == NULL)
    return_value_if_fail(fine, RET_REMOVE);
  else
    log_if_fail(fine);
  return_value_if_fail(steps != NULL, RET_SKIP);
  for (;;) {
    break_if_fail_ex(fine, (*steps)++);
    return RET_OK;
  }
  goto_error_if_fail_ex(fine, (*steps)++);
  return RET_OK;
error:
  return RET_FAIL;
}

static ret_t pass_on(bool_t fine, int *steps) {
  return_ret_if_fail(fail_unless(fine, steps));
  (*steps)++;
  return RET_DONE;
}

/* How far it came; each check is of the kind that leaves without a last sentence. */
static int leave_by(int way, int *steps) {
  for (*steps = 1; *steps < 3; (*steps)++) {
    break_if_fail(way != 1);
  }
  return_value_if_equal(way, 2);
  goto_error_if_fail(way != 3);
  return 0;
error:
  return -1;
}

static int app_numbers(void) {
  int32_t numbers[] = {-7, 5};
  CHECK(tk_min(numbers[0], numbers[1]) == -7 && tk_max(numbers[0], numbers[1]) == 5);
  CHECK(tk_min(numbers[1], numbers[0]) == -7 && tk_max(numbers[1], numbers[0]) == 5);
  CHECK(tk_abs(numbers[0]) == 7 && tk_abs(numbers[1]) == 5);
  CHECK(tk_clampi(0, 1, 5) == 1 && tk_clampi(3, 1, 5) == 3 && tk_clampi(6, 1, 5) == 5);
  CHECK(tk_clamp(0, 1, 5) == 1 && tk_clamp(3, 1, 5) == 3);
  CHECK(TK_ROUND_TO(0, 8) == 0 && TK_ROUND_TO(1, 8) == 8 && TK_ROUND_TO(8, 8) == 8 && TK_ROUND_TO(9, 8) == 16);
  CHECK(TK_ROUND_TO_MACH(1) == sizeof(void *) && TK_ROUND_TO_MACH(sizeof(void *)) == sizeof(void *));
  CHECK(ARRAY_SIZE(numbers) == 2 && TK_UINT32_MAX == 4294967295U);
  return 0;
}

int app_checks(void) {
  int steps = 0;
  int other = 7;
  CHECK(pass_on(TRUE, &steps) == RET_DONE && steps == 1);
  CHECK(pass_on(FALSE, &steps) == RET_FAIL && steps == 3);
  CHECK(fail_unless(FALSE, NULL) == RET_REMOVE && fail_unless(TRUE, NULL) == RET_SKIP);
  tk_swap(steps, other, int);
  CHECK(steps == 7 && other == 3);
  CHECK(tk_str_eq("a", "a") && !tk_str_eq("a", "b") && !tk_str_eq("a", NULL) && tk_str_eq(NULL, NULL));
  CHECK(tk_roundi(2.5F) == 3 && tk_roundi(-2.5F) == -3 && tk_clamp(9, 1, 5) == 5);
  CHECK(strcmp(TK_STRINGIZE(TK_CONCAT(a, b)), "ab") == 0);
  CHECK(leave_by(0, &steps) == 0 && steps == 3);
  CHECK(leave_by(1, &steps) == 0 && steps == 1);
  CHECK(leave_by(2, &steps) == 2 && leave_by(3, &steps) == -1);
  return app_numbers();
}

ret_t app_on_key(int key) {
  if (key == 9) {
    tk_mem_dump();
    return RET_STOP;
  }
  return RET_OK;
}

/* ---- An allocator of the program's ---- */

static void *bump_alloc(mem_allocator_t *allocator, uint32_t size, const char *func, uint32_t line) {
  bump_t *bump = (bump_t *)allocator;
  char *block = bump->next;
  (void)func;
  (void)line;
  return_value_if_fail(size <= (uint32_t)(bump->end - bump->next), NULL);
  bump->next += size;
  bump->live++;
  return block;
}

static void *bump_realloc(mem_allocator_t *allocator, void *ptr, uint32_t size, const char *func, uint32_t line) {
  (void)ptr;
  return bump_alloc(allocator, size, func, line);
}

static void bump_free(mem_allocator_t *allocator, void *ptr) {
  return_if_fail(ptr != NULL);
  ((bump_t *)allocator)->live--;
}

static ret_t bump_dump(mem_allocator_t *allocator) {
  (void)allocator;
  return RET_OK;
}

static ret_t bump_destroy(mem_allocator_t *allocator) {
  ((bump_t *)allocator)->destroyed++;
  return RET_OK;
}

static const mem_allocator_vtable_t s_bump_vtable = {
    .alloc = bump_alloc,
    .realloc = bump_realloc,
    .free = bump_free,
    .dump = bump_dump,
    .destroy = bump_destroy,
};

mem_allocator_t *bump_init(bump_t *bump, char *buffer, uint32_t size) {
  memset(bump, 0xAA, sizeof(*bump)); /* as on a stack: only the vtable counts */
  bump->allocator.vt = &s_bump_vtable;
  bump->next = buffer;
  bump->end = buffer + size;
  bump->live = 0;
  bump->destroyed = 0;
  return MEM_ALLOCATOR(bump);
}

/* ---- Decorators ---- */

int app_stack(char *buffer, uint32_t size) {
  mem_allocator_simple_t simple;
  mem_allocator_pool_t pool;
  mem_allocator_debug_t debug;
  mem_allocator_lock_t lock;
  mem_allocator_oom_t oom;
  mem_allocator_t *allocator = mem_allocator_simple_init(&simple, buffer, size);
  allocator = mem_allocator_pool_init(&pool, allocator, 10, 10, 10, 10, 10);
  allocator = mem_allocator_debug_init(&debug, allocator);
  allocator = mem_allocator_lock_init(&lock, allocator);
  allocator = mem_allocator_oom_init(&oom, allocator);
  CHECK(allocator != NULL);

  uint32_t const used = simple.info.used_bytes;
  CHECK(used >= 10 * (8 + 16 + 32 + 48 + 64));
  void *small = mem_allocator_alloc(allocator, 10, __FUNCTION__, __LINE__);
  void *large = mem_allocator_alloc(allocator, 1000, __FUNCTION__, __LINE__);
  CHECK(small != NULL && large != NULL);
  CHECK(simple.info.used_block_nr == 2);
  large = mem_allocator_realloc(allocator, large, 2000, __FUNCTION__, __LINE__);
  CHECK(large != NULL);
  CHECK(mem_allocator_dump(allocator) == RET_OK);
  mem_allocator_free(allocator, small);
  mem_allocator_free(allocator, large);
  CHECK(simple.info.used_bytes == used);
  CHECK(mem_allocator_destroy(allocator) == RET_OK);
  CHECK(simple.info.used_bytes == 0);
  CHECK(mem_allocator_destroy(MEM_ALLOCATOR(&simple)) == RET_BAD_PARAMS);
  return 0;
}
