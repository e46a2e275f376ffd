// Static, and nothing in it throws std::bad_alloc or is a container: the C++ runtime's function for that is not linked.
#include "expect.h"

#include <cstddef>
#include <new>

namespace {

volatile size_t huge = ~static_cast<size_t>(0) / 4 * 3;
volatile bool destroyed;
void *volatile kept;

struct Witness {
  ~Witness() { destroyed = true; }
};

bool throws_bad_alloc(size_t align) {
  Witness const witness;
  try {
    kept = align == 0 ? ::operator new(huge) : ::operator new(huge, static_cast<std::align_val_t>(align));
  } catch (const std::bad_alloc &failure) {
    return failure.what()[0] != '\0';
  }
  return false;
}

} // namespace

int main() {
  EXPECT(throws_bad_alloc(0));
  EXPECT(destroyed);
  EXPECT(throws_bad_alloc(64));
  return expect_done();
}
