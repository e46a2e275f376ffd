/* A process of several threads that is sent SIGTERM, and again while it is checked for the first one. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BLOCKS = 20000, SIGNALS = 20 }; /* to check so many takes a few milliseconds */

static char *volatile blocks[BLOCKS];

static void *thread(void *unused) {
  (void)unused;
  for (;;) {
    pause();
  }
  return NULL;
}

static void send_signals(pid_t to) {
  struct timespec const pause = {0, 200000};
  for (int i = 0; i < SIGNALS && kill(to, SIGTERM) == 0; i++) {
    nanosleep(&pause, NULL);
  }
}

int main(void) {
  int ready[2];
  char byte = 0;
  pthread_t other;
  pid_t const parent = getpid();
  if (pipe(ready) != 0) {
    return 1;
  }
  pid_t const child = fork(); /* before there is damage that it might find */
  if (child == 0) {
    if (read(ready[0], &byte, 1) == 1) {
      send_signals(parent);
    }
    _exit(0);
  }
  for (int i = 0; i < BLOCKS; i++) {
    blocks[i] = malloc(100);
  }
  blocks[7][100] = 1;
  if (child < 0 || pthread_create(&other, NULL, thread, NULL) != 0 || write(ready[1], &byte, 1) != 1) {
    return 1;
  }
  (void)thread(NULL);
  return 0;
}
