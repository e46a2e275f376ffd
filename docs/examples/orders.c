/* A small server: each worker process takes its share of the orders. Two of its lines are wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 4 };

typedef struct order {
  char *article;
  int count;
} order;

static char *copy_name(const char *text, size_t length) {
  char *name = malloc(length); /* no room for the NUL */
  memcpy(name, text, length);
  name[length] = '\0';
  return name;
}

static order *parse(const char *line) {
  const char *colon = strchr(line, ':');
  order *o = malloc(sizeof *o);
  if (colon == NULL) {
    return NULL; /* and the order is lost */
  }
  o->article = copy_name(line, (size_t)(colon - line));
  o->count = atoi(colon + 1);
  return o;
}

static int work(char **lines, int first, int count) {
  int sum = 0;
  for (int i = first; i < count; i += WORKERS) {
    order *o = parse(lines[i]);
    if (o != NULL) {
      sum += o->count;
      free(o->article);
      free(o);
    }
  }
  return sum;
}

int main(int argc, char **argv) {
  int sum = 0;
  int results[2];
  if (pipe(results) != 0) {
    return 1;
  }
  for (int i = 0; i < WORKERS; i++) {
    if (fork() == 0) {
      int part = work(argv + 1, i, argc - 1);
      return write(results[1], &part, sizeof part) == sizeof part ? 0 : 1;
    }
  }
  close(results[1]);
  for (int part = 0; read(results[0], &part, sizeof part) == sizeof part;) {
    sum += part;
  }
  while (wait(NULL) > 0) {
  }
  printf("%d pieces ordered\n", sum);
  return 0;
}
