#include <pthread.h>
#include <ringfence/mempool.h>
#include <stdio.h>

static _Alignas(void *) unsigned char memory[(80 + sizeof(void *)) * 2]; /* two messages of 80 bytes */
static rf_mempool messages;

static void *give_back_soon(void *message) {
  rf_mempool_info info;
  do {
    rf_mempool_info_get(&messages, &info);
  } while (info.waiters == 0);
  rf_mempool_free(&messages, message); /* goes straight to the thread that waits */
  return NULL;
}

int main(void) {
  void *first;
  void *second;
  void *third;
  pthread_t consumer;
  if (rf_mempool_init(&messages, memory, sizeof memory, 80, sizeof(void *)) != RF_OK ||
      rf_mempool_alloc(&messages, 0, &first) != RF_OK || rf_mempool_alloc(&messages, 0, &second) != RF_OK) {
    return 1;
  }
  printf("a third, at once: %s\n", rf_status_name(rf_mempool_alloc(&messages, 0, &third)));
  printf("a third, within 10 ms: %s\n", rf_status_name(rf_mempool_alloc(&messages, 10, &third)));
  if (pthread_create(&consumer, NULL, give_back_soon, first) != 0) {
    return 1;
  }
  printf("a third, however long it takes: %s\n", rf_status_name(rf_mempool_alloc(&messages, RF_WAIT_FOREVER, &third)));
  pthread_join(consumer, NULL);
  printf("it is the first again: %s\n", third == first ? "yes" : "no");
  return rf_mempool_deinit(&messages) == RF_OK ? 0 : 1;
}
