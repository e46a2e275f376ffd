// Pointers that the program has handed to the system (checkers/dropin/runtime/handed_over.c): which words may be
// blocks, and the last of them, for the search for leaks.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/handed_over.h"
#include "checkers/page/page_store.h"
}
#undef _Static_assert

#include "tests/dropin/heap_alone.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

namespace ringfence_test {
namespace {

using Words = std::vector<uintptr_t>;

// Those that are remembered, in the order of their places.
Words remembered(size_t *visits = nullptr) {
  struct Seen {
    Words words;
    size_t visits = 0;
  } seen;
  rf_handed_over_visit(
      [](const uintptr_t *words, size_t count, void *context) {
        auto *const s = static_cast<Seen *>(context);
        s->visits++;
        for (size_t i = 0; i < count; i++) {
          if (words[i] != 0) {
            s->words.push_back(words[i]);
          }
        }
      },
      &seen);
  if (visits != nullptr) {
    *visits = seen.visits;
  }
  return seen.words;
}

constexpr uintptr_t kPages = 0x7000;

// As where a store has pages.
void open_pages(size_t size) {
  rf_page_all.low = kPages;
  rf_page_all.size = size;
}

TEST(HandedOver, WordsThatMayBeBlocksOnPagesAreRemembered) {
  alone([] {
    open_pages(1000);
    for (uintptr_t const word : {kPages - 1, kPages, kPages + 999, kPages + 1000, uintptr_t{0}}) {
      rf_handed_over(word);
    }
    EXPECT_EQ(remembered(), (Words{kPages, kPages + 999}));
  });
}

TEST(HandedOver, WordsThatMayBeBlocksOfTheHeapAreRemembered) {
  heap_alone([] {
    rf_origin const origin = {};
    auto const block = reinterpret_cast<uintptr_t>(rf_cache_malloc(rf_cache_take(0), 100, RF_FAMILY_MALLOC, &origin));
    rf_handed_over(block + 50);
    rf_handed_over(reinterpret_cast<uintptr_t>(&block));
    EXPECT_EQ(remembered(), Words{block + 50});
  });
}

TEST(HandedOver, TheLastOnesAreRemembered) {
  alone([] {
    open_pages(10000);
    for (uintptr_t i = 0; i < RF_HANDED_OVER_MOST + 3; i++) {
      rf_handed_over(kPages + i);
    }
    size_t visits = 0;
    Words words = remembered(&visits);
    EXPECT_EQ(visits, RF_HANDED_OVER_MOST);
    ASSERT_EQ(words.size(), RF_HANDED_OVER_MOST);
    std::sort(words.begin(), words.end());
    EXPECT_EQ(words.front(), kPages + 3);
    EXPECT_EQ(words.back(), kPages + RF_HANDED_OVER_MOST + 2);
  });
}

TEST(HandedOver, OfAMessageEachWordWhereverItBegins) {
  alone([] {
    open_pages(1000);
    unsigned char message[sizeof(uintptr_t) + 3] = {};
    uintptr_t const word = kPages + 5;
    for (size_t at = 0; at <= 3; at++) {
      std::memset(message, 0, sizeof message);
      std::memcpy(message + at, &word, sizeof word);
      rf_handed_over_bytes(message, sizeof message);
      Words const words = remembered();
      EXPECT_EQ(std::count(words.begin(), words.end(), word), static_cast<ptrdiff_t>(at + 1)) << at;
    }
    rf_handed_over_bytes(message, sizeof message - 1);
    rf_handed_over_bytes(message, 0);
    Words const words = remembered();
    EXPECT_EQ(std::count(words.begin(), words.end(), word), 4) << "the last word is not whole";
  });
}

} // namespace
} // namespace ringfence_test
