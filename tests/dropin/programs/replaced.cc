// A program that brings its own operator new and delete, in the base forms alone: all other forms must come to these.
#include "expect.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace {
long news = 0;
long deletes = 0;
volatile std::size_t kSize = 100;
} // namespace

void *operator new(std::size_t size) {
  news++;
  void *const p = std::malloc(size + 16);
  if (p == nullptr) {
    throw std::bad_alloc();
  }
  return static_cast<char *>(p) + 16;
}

void operator delete(void *p) noexcept {
  if (p != nullptr) {
    deletes++;
    std::free(static_cast<char *>(p) - 16);
  }
}

int main() {
  ::operator delete(::operator new(kSize));
  EXPECT(news == 1 && deletes == 1);
  ::operator delete(::operator new(kSize), kSize);
  EXPECT(news == 2 && deletes == 2);
  ::operator delete[](::operator new[](kSize));
  EXPECT(news == 3 && deletes == 3);
  ::operator delete[](::operator new[](kSize), kSize);
  EXPECT(news == 4 && deletes == 4);
  ::operator delete(::operator new(kSize, std::nothrow), std::nothrow);
  EXPECT(news == 5 && deletes == 5);
  ::operator delete[](::operator new[](kSize, std::nothrow), std::nothrow);
  EXPECT(news == 6 && deletes == 6);
  {
    std::vector<std::string> v(10, std::string(100, 'x'));
    auto p = std::make_unique<int[]>(50);
  }
  EXPECT(news > 10 && news == deletes);
  return expect_done();
}
