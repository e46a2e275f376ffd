// One bug of each kind: `kinds NAME` commits it, `kinds --list` names all, `kinds work` has none.
// docs/checkers/kinds.md explains them; tools/bench/compare_tools.sh tries who finds them.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <map>
#include <string>

namespace {

volatile char sink;
char *volatile kept; // what the compiler must not see through

char *block(size_t size) {
  kept = static_cast<char *>(std::malloc(size));
  std::memset(kept, 'x', size);
  return kept;
}

void heap_buffer_overflow() {
  char *p = block(13);
  p[13] = 0; // one byte too far
  std::free(p);
}

void heap_buffer_overflow_read() {
  char *p = block(16);
  sink = p[16];
  std::free(p);
}

void heap_buffer_underflow() {
  char *p = block(16);
  p[-1] = 0;
  std::free(p);
}

void heap_use_after_free() {
  char *p = block(16);
  std::free(p);
  kept[3] = 1;
}

void heap_use_after_free_read() {
  char *p = block(16);
  std::free(p);
  sink = kept[3];
}

void double_free() {
  char *p = block(16);
  std::free(p);
  std::free(kept);
}

void bad_free_of_the_stack() {
  char local[16];
  kept = local;
  std::free(kept);
}

void bad_free_inside_a_block() {
  kept = block(16) + 8;
  std::free(kept);
}

void alloc_dealloc_mismatch() {
  kept = new char[16];
  std::free(kept); // not delete[]
}

void new_delete_type_mismatch() {
  ::operator delete(::operator new(16), 8); // of another size
}

void memory_leak() {
  block(100);
  kept = nullptr;
}

void allocation_size_too_big() {
  volatile long wanted = -5;
  kept = static_cast<char *>(std::malloc(static_cast<size_t>(wanted)));
}

void calloc_overflow() {
  volatile size_t count = SIZE_MAX / 4;
  kept = static_cast<char *>(std::calloc(count, 16));
}

void invalid_allocation_alignment() {
  volatile size_t alignment = 24;
  kept = static_cast<char *>(aligned_alloc(alignment, 48));
}

void bad_malloc_usable_size() {
  kept = block(16) + 4;
  sink = static_cast<char>(malloc_usable_size(kept));
}

void segv() {
  kept = nullptr;
  *kept = 1;
}

// ---- Bugs that Ringfence does not look for ----

void write_past_a_local_array() {
  volatile int index = 16;
  char before[64] = "";
  char local[16] = "";
  char after[64] = "";
  local[index] = 1;
  sink = static_cast<char>(before[63] + local[0] + after[0]);
}

char global[16];

void write_past_a_global_array() {
  volatile int index = 16;
  global[index] = 1;
}

void use_of_a_value_never_set() {
  int *p = static_cast<int *>(std::malloc(sizeof(int)));
  if (*p == 42) {
    std::puts("42");
  }
  std::free(p);
}

// ---- No bug ----

void work() {
  std::map<std::string, std::string> words;
  for (unsigned i = 0; i < 200000; i++) {
    words[std::to_string(i * 2654435761U)] = std::string(i % 50 + 16, 'w');
    if (i % 3 == 0) {
      words.erase(words.begin());
    }
  }
  std::printf("%zu\n", words.size());
}

struct Kind {
  const char *name;
  void (*commit)();
};

const Kind kinds[] = {
    {"heap-buffer-overflow", heap_buffer_overflow},
    {"heap-buffer-overflow-read", heap_buffer_overflow_read},
    {"heap-buffer-underflow", heap_buffer_underflow},
    {"heap-use-after-free", heap_use_after_free},
    {"heap-use-after-free-read", heap_use_after_free_read},
    {"double-free", double_free},
    {"bad-free-of-the-stack", bad_free_of_the_stack},
    {"bad-free-inside-a-block", bad_free_inside_a_block},
    {"alloc-dealloc-mismatch", alloc_dealloc_mismatch},
    {"new-delete-type-mismatch", new_delete_type_mismatch},
    {"memory-leak", memory_leak},
    {"allocation-size-too-big", allocation_size_too_big},
    {"calloc-overflow", calloc_overflow},
    {"invalid-allocation-alignment", invalid_allocation_alignment},
    {"bad-malloc_usable_size", bad_malloc_usable_size},
    {"SEGV", segv},
    {"write-past-a-local-array", write_past_a_local_array},
    {"write-past-a-global-array", write_past_a_global_array},
    {"use-of-a-value-never-set", use_of_a_value_never_set},
};

} // namespace

int main(int argc, char **argv) {
  const std::string name = argc == 2 ? argv[1] : "";
  if (name == "work") {
    work();
    return 0;
  }
  for (const Kind &kind : kinds) {
    if (name == "--list") {
      std::puts(kind.name);
    } else if (name == kind.name) {
      kind.commit();
      return 0;
    }
  }
  return name == "--list" ? 0 : 2;
}
