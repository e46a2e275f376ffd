#include <ringfence/pool.h>
#include <ringfence/port.h>
#include <ringfence/tlsf.h>

static unsigned char arena[16 * 1024];

/* Small blocks that stay come between large ones that go: without pools they would leave holes that are too small. */
static bool serve(rf_allocator *a) {
  enum { ROUNDS = 20 };
  for (int i = 0; i < ROUNDS; i++) {
    void *const message = rf_alloc(a, 600);
    void *const note = rf_alloc(a, 24); /* kept */
    if (message == NULL || note == NULL || rf_free(a, message) != RF_OK) {
      return false;
    }
  }
  return rf_alloc(a, 12000) != NULL;
}

static void to_console(void *context, const char *text, size_t size) {
  (void)context;
  rf_port_log(text, size);
}

int main(void) {
  static const rf_pool_class classes[] = {{16, 8}, {32, 24}};
  rf_pool_options const options = {classes, 2, NULL, 0};
  rf_sink const console = {to_console, NULL};
  rf_tlsf heap;
  rf_pool pool;
  if (rf_tlsf_init(&heap, arena, sizeof arena) != RF_OK || rf_pool_init(&pool, &heap.base, &options) != RF_OK) {
    return 1;
  }
  bool const served = serve(&pool.base);
  rf_pool_advise(&pool, &console);
  rf_deinit(&pool.base); /* the pool, then the heap */
  return served ? 0 : 1;
}
