// rf_page, and faults that are not about its blocks.
#ifndef RINGFENCE_TESTS_CHECKERS_PAGE_HANDLERS_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_PAGE_HANDLERS_FIXTURE_H

#include "tests/checkers/page_fixture.h"

#include <csignal>
#include <cstdint>
#include <sys/mman.h>

namespace ringfence {

class PageHandlers : public PageTest {};

inline unsigned char *closed_page() {
  void *const p = mmap(nullptr, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE(p, MAP_FAILED);
  return bytes(p);
}

inline void fault_elsewhere() {
  poke(closed_page(), 1);
}

// A handler that opens the page, so that the program goes on where it was.
inline void open_page(int, siginfo_t *info, void *) {
  auto const page = reinterpret_cast<uintptr_t>(info->si_addr) & ~uintptr_t{page_size() - 1};
  (void)mprotect(reinterpret_cast<void *>(page), page_size(), PROT_READ | PROT_WRITE);
}

} // namespace ringfence

#endif
