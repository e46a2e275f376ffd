// Arrays of objects with destructors, without an element, and what looks like them: argv[1] chooses. A global keeps the
// address that new[] returned: the end of the block where the array has no elements.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

struct Plain {
  ~Plain() { std::puts("never"); }
  char byte;
};

struct alignas(16) Wide : Plain {};

struct alignas(64) Wider : Plain {};

void *kept;

volatile std::size_t none = 0;
volatile std::size_t two = 2;

struct Case {
  const char *name;
  void (*run)();
};

const Case kCases[] = {
    {"plain", [] { kept = new Plain[none]; }},
    {"wide", [] { kept = new Wide[none]; }},
    {"wider", [] { kept = new Wider[none]; }},
    {"many", [] { kept = new Plain[two]; }},
    {"lost",
     [] {
       kept = new Plain[none];
       kept = nullptr;
     }},
    {"end_of_elements", [] { kept = new Plain[sizeof(void *)] + sizeof(void *); }},
    {"end_of_numbers", [] { kept = static_cast<char *>(std::memset(::operator new[](16), 1, 16)) + 16; }},
    {"end_of_zeros", [] { kept = static_cast<char *>(std::calloc(1, 16)) + 16; }},
};

} // namespace

int main(int argc, char **argv) {
  for (const Case &it : kCases) {
    if (argc > 1 && std::strcmp(it.name, argv[1]) == 0) {
      it.run();
      return 0;
    }
  }
  return 2;
}
