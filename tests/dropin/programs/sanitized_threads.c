/* Built with -fsanitize=thread: its malloc is ThreadSanitizer's. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *work(void *text) {
  free(strdup(text));
  return text;
}

int main(int argc, char **argv) {
  pthread_t thread;
  char *const p = malloc(10);
  strcpy(p, "nine");
  pthread_create(&thread, NULL, work, p);
  pthread_join(thread, NULL);
  free(p);
  printf("%d arguments, preload %s\n", argc, getenv("RINGFENCE_OPTIONS") != NULL ? "and options" : "without options");
  return 0;
}
