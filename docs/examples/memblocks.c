#include <ringfence/memblocks.h>
#include <stdio.h>

/* 32 frames of 1536 bytes, each on a 64-byte line, as the network card wants them. Ready before main. */
RF_MEMBLOCKS_DEFINE(frames, 1536, 32, 64);

static void print_use(const char *when) {
  rf_stats s;
  rf_memblocks_stats(&frames, &s);
  printf("%s: %zu of 32 frames out, at most %zu\n", when, s.blocks, s.peak_blocks);
  (void)fflush(stdout);
}

int main(void) {
  void *ring[8];
  void *jumbo;
  if (rf_memblocks_alloc(&frames, 8, ring) != RF_OK ||              /* any eight, or none */
      rf_memblocks_alloc_contiguous(&frames, 6, &jumbo) != RF_OK) { /* six in a row */
    return 1;
  }
  print_use("receiving");
  rf_memblocks_free(&frames, 8, ring);
  print_use("idle");
  rf_fault_handler_set(rf_fault_log, NULL); /* report and go on; the default is to abort */
  if (rf_memblocks_alloc(&frames, 4, ring) != RF_OK) {
    return 1;
  }
  rf_status const status = rf_memblocks_free(&frames, 8, ring); /* the last four are free since long */
  printf("%s: ", rf_status_name(status));
  print_use("nothing was freed");
  return rf_memblocks_check(&frames, NULL) == RF_OK ? 0 : 1;
}
