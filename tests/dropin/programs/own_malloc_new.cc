// A program with a malloc of its own, by which operator new of the C++ library must go.
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {
alignas(16) unsigned char arena[1 << 20];
std::size_t used;
int allocations;
int frees;
} // namespace

extern "C" void *malloc(std::size_t size) {
  unsigned char *const p = arena + used;
  used += (size + 15) & ~std::size_t{15};
  allocations++;
  return p;
}

extern "C" void free(void *p) {
  frees += p != nullptr ? 1 : 0;
}

int main() {
  int const allocated = allocations;
  int const freed = frees;
  int *volatile one = new int(1);
  delete one;
  char *volatile many = new char[100];
  delete[] many;
  std::printf("%d %d\n", allocations - allocated, frees - freed);
  return 0;
}
