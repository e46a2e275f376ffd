// The page map of the drop-in's heap, which knows the span of an address, and the records of spans.
#include "tests/dropin/address_space.h"
#include "tests/dropin/heap_alone.h"

#include <cstring>

namespace ringfence_test {
namespace {

TEST(DropinPageMap, KnowsTheSpanOfEachAddressInIt) {
  heap_alone([] {
    uintptr_t const start = uintptr_t{0x1234} << 20;
    rf_span span{};
    rf_span other{};
    span.base = start + RF_SPAN_FRONT;
    span.bytes = 3 * RF_UNIT;
    other.base = start + 8 * RF_UNIT + RF_SPAN_FRONT;
    other.bytes = 100;
    EXPECT_EQ(rf_span_above(0), nullptr);
    EXPECT_TRUE(rf_span_enter(start, span.bytes, &span));
    EXPECT_TRUE(rf_span_enter(start + 8 * RF_UNIT, other.bytes, &other));
    EXPECT_EQ(rf_span_of(start - 1), nullptr);
    EXPECT_EQ(rf_span_of(start), &span);
    EXPECT_EQ(rf_span_of(start + 3 * RF_UNIT - 1), &span);
    EXPECT_EQ(rf_span_of(start + 3 * RF_UNIT), nullptr);
    EXPECT_EQ(rf_span_above(0), &span);
    EXPECT_EQ(rf_span_above(start), &span);
    EXPECT_EQ(rf_span_above(start + 3 * RF_UNIT - 1), &span);
    EXPECT_EQ(rf_span_above(start + 3 * RF_UNIT), &other);
    EXPECT_EQ(rf_span_above(start + 8 * RF_UNIT + 99), &other);
    EXPECT_EQ(rf_span_above(start + 8 * RF_UNIT + 100), nullptr); // in its last unit, behind its end
    EXPECT_TRUE(rf_span_enter(start, span.bytes, nullptr));
    EXPECT_EQ(rf_span_of(start + RF_UNIT), nullptr);
    EXPECT_EQ(rf_span_above(0), &other);
  });
}

#if UINTPTR_MAX > UINT32_MAX
TEST(DropinPageMap, EndsWithTheProcessorsAddresses) {
  heap_alone([] {
    rf_span span{};
    uintptr_t const end = uintptr_t{1} << 48;
    EXPECT_FALSE(rf_span_enter(end, RF_UNIT, &span));
    EXPECT_FALSE(rf_span_enter(end - RF_UNIT, 2 * RF_UNIT, &span));
    EXPECT_EQ(rf_span_of(end), nullptr);
    EXPECT_EQ(rf_span_of(UINTPTR_MAX), nullptr);
    span.base = end - RF_UNIT + RF_SPAN_FRONT;
    span.bytes = RF_UNIT;
    EXPECT_TRUE(rf_span_enter(end - RF_UNIT, RF_UNIT, &span));
    EXPECT_EQ(rf_span_of(end - 1), &span);
    EXPECT_EQ(rf_span_above(0), &span);
  });
}
#endif

TEST(DropinSpans, AreDescribedByMemoryThatIsZeroAlsoTheSecondTime) {
  heap_alone([] {
    for (unsigned const class_number : {0U, 40U, RF_CLASSES}) {
      rf_span *const span = rf_span_describe(1, class_number);
      ASSERT_NE(span, nullptr);
      EXPECT_EQ(span->heap, 1U);
      EXPECT_EQ(span->class_number, class_number);
      EXPECT_EQ(span->free == nullptr, class_number == RF_CLASSES);
      unsigned const slots = class_number == RF_CLASSES ? 1 : rf_size_classes[class_number].count;
      memset(span->slots, 0xff, slots * sizeof(rf_slot));
      span->carved = class_number == RF_CLASSES ? 0 : slots;
      span->size = 5;
      rf_span_forget(span);
      ASSERT_EQ(rf_span_describe(1, class_number), span);
      EXPECT_EQ(span->size, 0U);
      EXPECT_EQ(span->carved, 0U);
      for (unsigned i = 0; i < slots; i++) {
        EXPECT_EQ(span->slots[i].traits, 0) << i;
        EXPECT_EQ(span->slots[i].allocated, 0U) << i;
      }
      EXPECT_NE(rf_span_describe(1, class_number), span);
      EXPECT_NE(rf_span_describe(2, class_number), span);
    }
  });
}

TEST(DropinSpans, AreDescribedWhereMemoryIsShort) {
  heap_alone([] {
    leave_space(160 * 1024);
    EXPECT_NE(rf_span_describe(1, 0), nullptr); // of 128 KiB instead of one MiB
    EXPECT_NE(rf_span_describe(1, 0), nullptr);
    EXPECT_EQ(rf_span_describe(2, 0), nullptr);
  });
}

} // namespace
} // namespace ringfence_test
