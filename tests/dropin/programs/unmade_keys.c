/* Keys of threads' values that the program has not made, or not yet: the C library knows none of them. */
#include "expect.h"

#include <errno.h>
#include <pthread.h>

enum { FIRST = 16 }; /* keys: more than a small program has */

static void look(void) {
  for (pthread_key_t key = 0; key < FIRST; key++) {
    EXPECT(pthread_getspecific(key) == NULL);
    EXPECT(pthread_setspecific(key, &failures) == EINVAL);
    EXPECT(pthread_key_delete(key) == EINVAL);
  }
}

static void *look_and_allocate(void *unused) {
  look();
  free(malloc(100));
  look();
  return unused;
}

static void *set(void *key) {
  free(malloc(100));
  EXPECT(pthread_setspecific(*(pthread_key_t *)key, malloc(10)) == 0);
  return NULL;
}

static void in_a_thread(void *(*body)(void *), void *argument) {
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, body, argument) == 0);
  pthread_join(thread, NULL);
}

int main(void) {
  pthread_key_t keys[2 * FIRST];
  look();
  for (int i = 0; i < 3; i++) {
    in_a_thread(look_and_allocate, NULL);
  }
  look();
  for (int i = 0; i < 2 * FIRST; i++) {
    EXPECT(pthread_key_create(&keys[i], free) == 0);
    in_a_thread(set, &keys[i]);
  }
  return expect_done();
}
