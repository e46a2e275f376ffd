// The C++ library allocates for the program, and the program loses it.
#include <cstring>
#include <string>

namespace {

__attribute__((noinline)) void grow(std::string *s) {
  s->reserve(1000);
}

} // namespace

int main() {
  alignas(std::string) char memory[sizeof(std::string)];
  grow(new (memory) std::string("short"));
  std::memset(memory, 0, sizeof memory);
  return 0;
}
