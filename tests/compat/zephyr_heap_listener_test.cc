// Zephyr's listeners of heaps: which events they hear, and how they leave.
#include <zephyr/sys/heap_listener.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "zephyr_heap_fixture.h"

namespace {

std::vector<std::string> the_events;

TEST_F(ZephyrHeap, ListenersHearOfEachBlock) {
  HEAP_LISTENER_ALLOC_DEFINE(on_alloc, HEAP_ID_FROM_POINTER(&heap), [](uintptr_t, void *, size_t bytes) {
    the_events.push_back("+" + std::to_string(bytes));
  });
  HEAP_LISTENER_FREE_DEFINE(on_free, HEAP_ID_FROM_POINTER(&heap),
                            [](uintptr_t, void *, size_t bytes) { the_events.push_back("-" + std::to_string(bytes)); });
  the_events.clear();
  sys_heap_init(&heap, memory, sizeof memory);
  heap_listener_register(&on_alloc);
  heap_listener_register(&on_free);
  heap_listener_register(&on_alloc); // once is enough
  void *p = sys_heap_alloc(&heap, 30);
  p = sys_heap_realloc(&heap, p, 50);
  sys_heap_free(&heap, p);
  sys_heap_free(&heap, p);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  EXPECT_EQ(nullptr, sys_heap_alloc(&heap, 5000));
  EXPECT_EQ(nullptr, sys_heap_realloc(&heap, sys_heap_alloc(&heap, 16), 0));
  heap_listener_unregister(&on_alloc);
  heap_listener_unregister(&on_free);
  EXPECT_EQ((std::vector<std::string>{"+32", "+56", "-32", "-56", "+16", "-16"}), the_events);
}

// As there: a program takes the function away, or has not given it yet.
TEST_F(ZephyrHeap, AListenerWithoutAFunctionHearsNothing) {
  HEAP_LISTENER_ALLOC_DEFINE(muted, HEAP_ID_FROM_POINTER(&heap), nullptr);
  HEAP_LISTENER_FREE_DEFINE(not_yet, HEAP_ID_FROM_POINTER(&heap), nullptr);
  HEAP_LISTENER_RESIZE_DEFINE(never, HEAP_ID_FROM_POINTER(&heap), nullptr);
  HEAP_LISTENER_ALLOC_DEFINE(behind, HEAP_ID_FROM_POINTER(&heap),
                             [](uintptr_t, void *, size_t) { the_events.emplace_back("+"); });
  the_events.clear();
  sys_heap_init(&heap, memory, sizeof memory);
  struct heap_listener *const all[] = {&muted, &not_yet, &never, &behind};
  for (struct heap_listener *const listener : all) {
    heap_listener_register(listener);
  }
  sys_heap_free(&heap, sys_heap_alloc(&heap, 30));
  heap_listener_notify_resize(HEAP_ID_FROM_POINTER(&heap), memory, memory);
  for (struct heap_listener *const listener : all) {
    heap_listener_unregister(listener);
  }
  EXPECT_EQ(std::vector<std::string>{"+"}, the_events);
}

std::vector<std::pair<const void *, size_t>> the_blocks; // 0 for a free

// They hear the new address of a block that moves and then the old one, and nothing of one that cannot.
TEST_F(ZephyrHeap, ListenersHearBothAddressesOfABlockThatMoves) {
  HEAP_LISTENER_ALLOC_DEFINE(on_alloc, HEAP_ID_FROM_POINTER(&heap),
                             [](uintptr_t, void *mem, size_t bytes) { the_blocks.emplace_back(mem, bytes); });
  HEAP_LISTENER_FREE_DEFINE(on_free, HEAP_ID_FROM_POINTER(&heap), [](uintptr_t, void *mem, size_t bytes) {
    EXPECT_EQ(1000U, bytes);
    the_blocks.emplace_back(mem, 0);
  });
  sys_heap_init(&heap, memory, sizeof memory);
  heap_listener_register(&on_alloc);
  heap_listener_register(&on_free);
  const void *const p = sys_heap_alloc(&heap, 1000);
  const void *const behind = sys_heap_alloc(&heap, 8);
  const void *const q = sys_heap_realloc(&heap, const_cast<void *>(p), 1400);
  EXPECT_NE(nullptr, q);
  EXPECT_EQ(nullptr, sys_heap_realloc(&heap, const_cast<void *>(q), 5000));
  heap_listener_unregister(&on_alloc);
  heap_listener_unregister(&on_free);
  EXPECT_EQ((std::vector<std::pair<const void *, size_t>>{{p, 1000}, {behind, 8}, {q, 1400}, {p, 0}}), the_blocks);
}

TEST_F(ZephyrHeap, AListenerThatIsNotRegisteredCannotBeUnregistered) {
  HEAP_LISTENER_ALLOC_DEFINE(other, HEAP_ID_FROM_POINTER(&heap),
                             [](uintptr_t, void *, size_t) { the_events.emplace_back("other"); });
  HEAP_LISTENER_ALLOC_DEFINE(unknown, HEAP_ID_FROM_POINTER(&heap), [](uintptr_t, void *, size_t) {});
  the_events.clear();
  sys_heap_init(&heap, memory, sizeof memory);
  unknown.node = &other;
  heap_listener_unregister(&unknown);
  sys_heap_free(&heap, sys_heap_alloc(&heap, 30));
  EXPECT_TRUE(the_events.empty());
}

// Each of three in turn: the other two hear on, in their order.
TEST_F(ZephyrHeap, AListenerThatGoesLeavesTheOthers) {
  sys_heap_init(&heap, memory, sizeof memory);
  heap_listener_alloc_cb_t const calls[] = {
      [](uintptr_t, void *, size_t) { the_events.emplace_back("0"); },
      [](uintptr_t, void *, size_t) { the_events.emplace_back("1"); },
      [](uintptr_t, void *, size_t) { the_events.emplace_back("2"); },
  };
  for (size_t gone = 0; gone < 3; gone++) {
    struct heap_listener listeners[3] = {};
    std::vector<std::string> expected;
    for (size_t i = 0; i < 3; i++) {
      listeners[i].heap_id = HEAP_ID_FROM_POINTER(&heap);
      listeners[i].event = HEAP_ALLOC;
      listeners[i].alloc_cb = calls[i];
      heap_listener_register(&listeners[i]);
      if (i != gone) {
        expected.push_back(std::to_string(i));
      }
    }
    the_events.clear();
    heap_listener_unregister(&listeners[gone]);
    heap_listener_notify_alloc(HEAP_ID_FROM_POINTER(&heap), memory, 8);
    EXPECT_EQ(expected, the_events);
    for (struct heap_listener &each : listeners) {
      heap_listener_unregister(&each);
    }
  }
}

// A listener keeps its link to those behind it when it is taken off; registered again, it is the last.
TEST_F(ZephyrHeap, AListenerMayComeBack) {
  HEAP_LISTENER_ALLOC_DEFINE(one, HEAP_ID_FROM_POINTER(&heap),
                             [](uintptr_t, void *, size_t) { the_events.emplace_back("1"); });
  HEAP_LISTENER_ALLOC_DEFINE(two, HEAP_ID_FROM_POINTER(&heap), [](uintptr_t, void *, size_t) {
    the_events.emplace_back("2");
    if (the_events.size() > 9) {
      throw std::length_error("hears for ever");
    }
  });
  the_events.clear();
  heap_listener_register(&one);
  heap_listener_register(&two);
  heap_listener_unregister(&one);
  heap_listener_register(&one);
  heap_listener_notify_alloc(HEAP_ID_FROM_POINTER(&heap), memory, 8);
  EXPECT_EQ((std::vector<std::string>{"2", "1"}), the_events);
  heap_listener_unregister(&one);
  heap_listener_unregister(&two);
}

struct heap_listener *the_next;

TEST_F(ZephyrHeap, AListenerMayTakeTheNextOneOffAndStay) {
  uintptr_t const id = HEAP_ID_FROM_POINTER(&heap);
  heap_listener_alloc_cb_t const note = [](uintptr_t, void *, size_t) { the_events.emplace_back("hears"); };
  struct heap_listener listeners[3] = {};
  for (struct heap_listener &each : listeners) {
    each.heap_id = id;
    each.event = HEAP_ALLOC;
    each.alloc_cb = note;
    heap_listener_register(&each);
  }
  the_next = &listeners[1];
  listeners[0].alloc_cb = [](uintptr_t, void *, size_t) {
    the_events.emplace_back("takes off");
    heap_listener_unregister(the_next);
  };
  the_events.clear();
  heap_listener_notify_alloc(id, memory, 8);
  EXPECT_EQ((std::vector<std::string>{"takes off", "hears"}), the_events);
  heap_listener_unregister(&listeners[0]);
  heap_listener_unregister(&listeners[2]);
}

struct heap_listener *leaving[2];

// Each of three in turn takes itself off, and then itself and the next one, while it is called: the others hear of the
// same event, once.
TEST_F(ZephyrHeap, AListenerMayTakeItselfAndTheNextOneOffInItsCall) {
  sys_heap_init(&heap, memory, sizeof memory);
  uintptr_t const id = HEAP_ID_FROM_POINTER(&heap);
  heap_listener_alloc_cb_t const leave = [](uintptr_t, void *, size_t) {
    the_events.emplace_back("leaves");
    for (struct heap_listener *const each : leaving) {
      if (each != nullptr) {
        heap_listener_unregister(each);
        if (each == leaving[0]) {
          *each = heap_listener{}; // its memory serves something else
        }
      }
    }
  };
  heap_listener_alloc_cb_t const stay = [](uintptr_t, void *, size_t) { the_events.emplace_back("stays"); };
  for (bool const with_next : {false, true}) {
    for (size_t who = 0; who < 3; who++) {
      struct heap_listener listeners[3] = {};
      for (size_t i = 0; i < 3; i++) {
        listeners[i].heap_id = id;
        listeners[i].event = HEAP_ALLOC;
        listeners[i].alloc_cb = i == who ? leave : stay;
        heap_listener_register(&listeners[i]);
      }
      leaving[0] = &listeners[who];
      leaving[1] = with_next && who < 2 ? &listeners[who + 1] : nullptr;
      std::vector<std::string> expected;
      for (size_t i = 0; i < 3; i++) {
        if (i <= who || !with_next) {
          expected.emplace_back(i == who ? "leaves" : "stays");
        }
      }
      the_events.clear();
      heap_listener_notify_alloc(id, memory, 8);
      EXPECT_EQ(expected, the_events) << who << (with_next ? " and the next one" : "");
      size_t const left = leaving[1] != nullptr ? 1 : 2;
      the_events.clear();
      heap_listener_notify_alloc(id, memory, 8);
      EXPECT_EQ(std::vector<std::string>(left, "stays"), the_events);
      for (struct heap_listener &each : listeners) {
        heap_listener_unregister(&each);
      }
    }
  }
}

} // namespace
