#include <stdlib.h>
#include <string.h>

typedef struct entry {
  struct entry *next;
  char *name;
} entry;

static entry *list;

static void add(const char *name) {
  entry *e = malloc(sizeof *e);
  e->name = strdup(name);
  e->next = list;
  list = e;
}

int main(void) {
  add("first");
  add("second");
  add("third");
  list = list->next; /* the newest entry is lost, and its name with it */
  return 0;
}
