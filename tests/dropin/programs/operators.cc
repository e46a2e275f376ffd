// Every form of C++'s operator new and delete, and what lives on them.
#include "expect.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

namespace {

volatile std::size_t kZero = 0;
void *volatile kept = nullptr; // so that no call is left out

// Neither the compiler nor the linker may see the size.
std::size_t opaque(std::size_t n) {
  return n + kZero;
}

const std::size_t kHuge = static_cast<std::size_t>(PTRDIFF_MAX);

struct alignas(64) Wide {
  char bytes[100];
};

bool aligned(const void *p, std::size_t align) {
  return reinterpret_cast<std::uintptr_t>(p) % align == 0;
}

void plain_forms() {
  for (std::size_t size : {0UL, 1UL, 24UL, 1000UL, 1000000UL}) {
    void *p = ::operator new(opaque(size));
    EXPECT(p != nullptr && aligned(p, alignof(std::max_align_t)));
    std::memset(p, 1, size);
    ::operator delete(p);
    p = ::operator new(opaque(size));
    ::operator delete(p, size);
    p = ::operator new[](opaque(size));
    ::operator delete[](p);
    p = ::operator new[](opaque(size));
    ::operator delete[](p, size);
    p = ::operator new(opaque(size), std::nothrow);
    ::operator delete(p, std::nothrow);
    p = ::operator new[](opaque(size), std::nothrow);
    ::operator delete[](p, std::nothrow);
  }
  ::operator delete(nullptr);
  ::operator delete[](nullptr);
}

void aligned_forms() {
  for (std::size_t align = 16; align <= 8192; align *= 2) {
    auto const a = static_cast<std::align_val_t>(align);
    void *p = ::operator new(opaque(100), a);
    EXPECT(aligned(p, align));
    ::operator delete(p, a);
    p = ::operator new(opaque(100), a);
    ::operator delete(p, 100, a);
    p = ::operator new[](opaque(100), a);
    EXPECT(aligned(p, align));
    ::operator delete[](p, a);
    p = ::operator new[](opaque(100), a);
    ::operator delete[](p, 100, a);
    p = ::operator new(opaque(100), a, std::nothrow);
    EXPECT(aligned(p, align));
    ::operator delete(p, a, std::nothrow);
    p = ::operator new[](opaque(100), a, std::nothrow);
    ::operator delete[](p, a, std::nothrow);
  }
}

template <class Function> bool throws_bad_alloc(Function function) {
  try {
    function();
  } catch (const std::bad_alloc &) {
    return true;
  }
  return false;
}

void too_much() {
  if (sizeof(void *) == 4) { // half of all addresses could be had there
    rlimit const limit = {static_cast<rlim_t>(1) << 30, RLIM_INFINITY};
    EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
  }
  auto const wide = static_cast<std::align_val_t>(64);
  EXPECT(throws_bad_alloc([] { kept = ::operator new(opaque(kHuge)); }));
  EXPECT(throws_bad_alloc([] { kept = ::operator new[](opaque(kHuge)); }));
  EXPECT(throws_bad_alloc([wide] { kept = ::operator new(opaque(kHuge), wide); }));
  EXPECT(throws_bad_alloc([wide] { kept = ::operator new[](opaque(kHuge), wide); }));
  EXPECT(::operator new(opaque(kHuge), std::nothrow) == nullptr);
  EXPECT(::operator new[](opaque(kHuge), std::nothrow) == nullptr);
  EXPECT(::operator new(opaque(kHuge), wide, std::nothrow) == nullptr);
  EXPECT(::operator new[](opaque(kHuge), wide, std::nothrow) == nullptr);
  EXPECT(throws_bad_alloc([] {
    std::vector<char> v(opaque(kHuge));
    kept = v.data();
  }));
}

int handled = 0;

void give_up_the_third_time() {
  if (++handled == 3) {
    throw std::bad_alloc();
  }
}

void new_handlers() {
  std::set_new_handler(give_up_the_third_time);
  handled = 0;
  EXPECT(throws_bad_alloc([] { kept = ::operator new(opaque(kHuge)); }));
  EXPECT(handled == 3);
  handled = 0;
  EXPECT(::operator new(opaque(kHuge), std::nothrow) == nullptr);
#ifdef RF_TEST_LINKED_IN
  // Without a runtime behind ours to catch what a handler throws, the nothrow forms do not ask it.
#else
  EXPECT(handled == 3);
#endif
  handled = 0; // no handler makes an alignment of that
  EXPECT(throws_bad_alloc([] { kept = ::operator new(8, static_cast<std::align_val_t>(24)); }));
  EXPECT(throws_bad_alloc([] { kept = ::operator new[](8, static_cast<std::align_val_t>(24)); }));
  EXPECT(handled == 0);
  std::set_new_handler(nullptr);
}

struct Base {
  virtual ~Base() = default;
  char bytes[40] = {};
};

struct Derived : Base {
  std::string text = std::string(100, 'x');
};

void objects() {
  std::unique_ptr<Base> one(new Derived);
  std::unique_ptr<Wide> wide(new Wide);
  EXPECT(aligned(wide.get(), 64));
  std::unique_ptr<Wide[]> many(new Wide[5]);
  EXPECT(aligned(many.get(), 64));
  std::unique_ptr<Derived[]> derived(new Derived[7]);
  std::map<int, std::string> map;
  for (int i = 0; i < 1000; i++) {
    map[i] = std::to_string(i) + std::string(static_cast<std::size_t>(i % 50), 'y');
  }
  std::vector<std::shared_ptr<Base>> shared(100, std::make_shared<Derived>());
  std::ostringstream out;
  for (const auto &entry : map) {
    out << entry.second;
  }
  EXPECT(out.str().size() > 10000);
}

struct Fails {
  Fails() { throw std::runtime_error(std::string(200, 'z')); }
  char bytes[64];
};

void exceptions() {
  int caught = 0;
  for (int i = 0; i < 100; i++) {
    try {
      delete new Fails;
    } catch (const std::runtime_error &e) {
      caught += static_cast<int>(std::strlen(e.what()) == 200);
    }
    try {
      delete[] new Fails[3];
    } catch (const std::runtime_error &) {
      caught++;
    }
  }
  EXPECT(caught == 200);
}

thread_local std::string of_thread;

void threads() {
  std::vector<std::thread> all;
  for (int i = 0; i < 4; i++) {
    all.emplace_back([] {
      for (int j = 0; j < 1000; j++) {
        of_thread = std::string(static_cast<std::size_t>(j % 300), 'a');
        delete new Derived;
      }
    });
  }
  for (auto &t : all) {
    t.join();
  }
}

} // namespace

int main() {
  plain_forms();
  aligned_forms();
  too_much();
  new_handlers();
  objects();
  exceptions();
  threads();
  return expect_done();
}
