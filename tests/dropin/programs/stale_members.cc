/* Pointers that are read from a freed block and handed to malloc's functions. The block has 40 bytes; others, which are
 * freed as well, have other sizes, and no code on the way has their addresses. */
#include <cstdio>
#include <cstdlib>
#include <cstring>

struct Node { // 40 bytes, whatever a pointer has
  long number;
  char *name;
  long *values;
  char more[40 - 3 * sizeof(long)];
};

#define NOT_INLINED __attribute__((noinline))

static volatile int yes = 1;

NOT_INLINED static Node *make() {
  Node *const node = static_cast<Node *>(malloc(sizeof(Node)));
  node->number = 7;
  node->name = strdup("a name");
  node->values = new long(7);
  return node;
}

NOT_INLINED static void destroy(Node *node) {
  free(node->name);
  delete node->values;
  free(node);
}

/* Far below the frames of the other functions, which would have the addresses of other blocks from here. */
NOT_INLINED static Node *make_or_destroy(Node *node) {
  volatile char room[4096];
  room[yes] = 1;
  if (node != nullptr && room[yes] != 0) {
    destroy(node);
    return nullptr;
  }
  return make();
}

NOT_INLINED static void destroy_again(Node *node) {
  if (yes) {
    free(node->name);
  }
  node->number = 0;
}

NOT_INLINED static void grow(Node *node) {
  node->name = static_cast<char *>(realloc(node->name, 200));
}

NOT_INLINED static void drop_values(Node *node) {
  delete node->values;
  node->values = nullptr;
}

NOT_INLINED static void hand_on(void *pointer) {
  free(pointer);
  yes = 2;
}

NOT_INLINED static void hand_on_twice(void *pointer) {
  hand_on(pointer);
  yes = 3;
}

NOT_INLINED static void drop_by_others(Node *node) {
  hand_on_twice(node->name);
  node->number = 0;
}

NOT_INLINED static void of_two(Node *node, Node *second) {
  free(node->name);
  node->number = second->number;
}

NOT_INLINED static int run(const char *how) {
  Node *const node = make_or_destroy(nullptr);
  Node *const second = make_or_destroy(nullptr);
  make_or_destroy(node);
  if (strcmp(how, "free") == 0) {
    destroy_again(node);
  } else if (strcmp(how, "realloc") == 0) {
    grow(node);
  } else if (strcmp(how, "delete") == 0) {
    drop_values(node);
  } else if (strcmp(how, "handed_on") == 0) {
    drop_by_others(node);
  } else if (strcmp(how, "two") == 0) {
    make_or_destroy(second);
    of_two(node, second);
  }
  return 0;
}

int main(int argc, char **argv) {
  return argc > 1 ? run(argv[1]) : 2;
}
