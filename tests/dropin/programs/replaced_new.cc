// A program that brings its own operator new, plain and aligned, and no delete: what it makes is malloc's, whatever
// size and alignment a delete names.
#include "expect.h"

#include <cstdlib>
#include <new>

namespace {
long news = 0;
long aligned_news = 0;
volatile std::size_t kSize = 100;
constexpr auto kWide = std::align_val_t(64);
} // namespace

void *operator new(std::size_t size) {
  news++;
  void *const p = std::malloc(size + 16);
  if (p == nullptr) {
    throw std::bad_alloc();
  }
  return p;
}

void *operator new(std::size_t size, std::align_val_t align) {
  aligned_news++;
  auto const unit = static_cast<std::size_t>(align);
  void *const p = std::aligned_alloc(unit, (size / unit + 2) * unit);
  if (p == nullptr) {
    throw std::bad_alloc();
  }
  return p;
}

int main() {
  ::operator delete(::operator new(kSize));
  ::operator delete(::operator new(kSize), kSize);
  ::operator delete(::operator new(kSize, std::nothrow), kSize);
  EXPECT(news == 3);
  ::operator delete[](::operator new[](kSize));
  ::operator delete[](::operator new[](kSize), kSize);
  ::operator delete[](::operator new[](kSize, std::nothrow), kSize);
  EXPECT(news == 6 && aligned_news == 0);
  ::operator delete(::operator new(kSize, kWide), kWide);
  ::operator delete(::operator new(kSize, kWide), kSize, kWide);
  ::operator delete(::operator new(kSize, kWide, std::nothrow), kSize, kWide);
  EXPECT(aligned_news == 3);
  ::operator delete[](::operator new[](kSize, kWide), kWide);
  ::operator delete[](::operator new[](kSize, kWide), kSize, kWide);
  ::operator delete[](::operator new[](kSize, kWide, std::nothrow), kSize, kWide);
  EXPECT(aligned_news == 6 && news == 6);
  return expect_done();
}
