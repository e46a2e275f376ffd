// A program that brings its own operator new[] and delete[], plain and aligned, and no others: the sized forms of
// arrays and those that do not throw must come to these, and the forms of single objects must not.
#include "expect.h"

#include <cstdlib>
#include <new>

namespace {
long news = 0;
long deletes = 0;
volatile std::size_t kSize = 100;
constexpr auto kWide = std::align_val_t(64);
constexpr std::size_t kBefore = 64;

void *make(std::size_t size) {
  news++;
  void *const p = std::aligned_alloc(64, (kBefore + size + 63) / 64 * 64);
  if (p == nullptr) {
    throw std::bad_alloc();
  }
  return static_cast<char *>(p) + kBefore;
}

void release(void *p) {
  deletes++;
  std::free(static_cast<char *>(p) - kBefore);
}
} // namespace

void *operator new[](std::size_t size) {
  return make(size);
}

void *operator new[](std::size_t size, std::align_val_t /*align*/) {
  return make(size);
}

void operator delete[](void *p) noexcept {
  release(p);
}

void operator delete[](void *p, std::align_val_t /*align*/) noexcept {
  release(p);
}

int main() {
  ::operator delete[](::operator new[](kSize));
  EXPECT(news == 1 && deletes == 1);
  ::operator delete[](::operator new[](kSize), kSize);
  EXPECT(news == 2 && deletes == 2);
  ::operator delete[](::operator new[](kSize, std::nothrow), std::nothrow);
  EXPECT(news == 3 && deletes == 3);
  ::operator delete[](::operator new[](kSize, kWide), kWide);
  EXPECT(news == 4 && deletes == 4);
  ::operator delete[](::operator new[](kSize, kWide), kSize, kWide);
  EXPECT(news == 5 && deletes == 5);
  ::operator delete[](::operator new[](kSize, kWide, std::nothrow), kWide, std::nothrow);
  EXPECT(news == 6 && deletes == 6);
  ::operator delete(::operator new(kSize), kSize);
  ::operator delete(::operator new(kSize, kWide), kSize, kWide);
  ::operator delete(::operator new(kSize, std::nothrow), std::nothrow);
  EXPECT(news == 6 && deletes == 6);
  return expect_done();
}
