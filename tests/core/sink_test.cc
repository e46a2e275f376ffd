#include "tests/core/text_sink.h"

#include <ringfence/sink.h>

#include <gtest/gtest.h>

#include <string>

namespace {

// The output of one call.
template <typename Put> std::string text_of(Put put) {
  std::string text;
  rf_sink const sink = ringfence::sink_to(&text);
  put(&sink);
  return text;
}

TEST(SinkTest, WritesTextAsItIs) {
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_str(s, "heap"); }), "heap");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_str(s, ""); }), "");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_char(s, '%'); }), "%");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_mem(s, "a\0b", 3); }), std::string("a\0b", 3));
}

TEST(SinkTest, NullIsNamed) {
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_str(s, nullptr); }), "(null)");
}

TEST(SinkTest, NothingIsNoCall) {
  int calls = 0;
  rf_sink const sink = {[](void *context, const char *, size_t) { ++*static_cast<int *>(context); }, &calls};
  rf_sink_mem(&sink, nullptr, 0);
  rf_sink_str(&sink, "");
  EXPECT_EQ(calls, 0);
}

TEST(SinkTest, WritesUnsignedNumbers) {
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_uint(s, 0); }), "0");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_uint(s, 1090); }), "1090");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_uint(s, UINT64_MAX); }), "18446744073709551615");
}

TEST(SinkTest, WritesSignedNumbers) {
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_int(s, 0); }), "0");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_int(s, -7); }), "-7");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_int(s, INT64_MAX); }), "9223372036854775807");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_int(s, INT64_MIN); }), "-9223372036854775808");
}

TEST(SinkTest, WritesHexadecimalPaddedToWhatIsAsked) {
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_hex(s, 0, 0); }), "0x0");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_hex(s, 0, 4); }), "0x0000");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_hex(s, 0xbeef, 2); }), "0xbeef");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_hex(s, 0xbeef, 6); }), "0x00beef");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_hex(s, UINT64_MAX, 16); }), "0xffffffffffffffff");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_hex(s, 1, 17); }), "0x0000000000000001");
  EXPECT_EQ(text_of([](const rf_sink *s) { rf_sink_hex(s, 1, 99); }), "0x0000000000000001");
}

TEST(SinkTest, WritesAddressesInTheirFullWidth) {
  std::string const text =
      text_of([](const rf_sink *s) { rf_sink_ptr(s, reinterpret_cast<void *>(static_cast<uintptr_t>(0x1a2b))); });
  EXPECT_EQ(text, "0x" + std::string(2 * sizeof(void *) - 4, '0') + "1a2b");
}

TEST(SinkBufferTest, KeepsWhatFitsAndAlwaysEndsIt) {
  char data[8];
  rf_sink_buffer b;
  rf_sink_buffer_init(&b, data, sizeof data);
  EXPECT_STREQ(data, "");
  rf_sink_str(&b.sink, "abc");
  EXPECT_STREQ(data, "abc");
  EXPECT_EQ(b.length, 3U);
  rf_sink_str(&b.sink, "defghijk");
  EXPECT_STREQ(data, "abcdefg");
  EXPECT_EQ(b.length, 7U);
  rf_sink_char(&b.sink, 'x');
  EXPECT_STREQ(data, "abcdefg");
}

TEST(SinkBufferTest, OneByteHoldsTheEnd) {
  char data[2] = {'?', '?'};
  rf_sink_buffer b;
  rf_sink_buffer_init(&b, data, 1);
  rf_sink_str(&b.sink, "abc");
  EXPECT_EQ(data[0], '\0');
  EXPECT_EQ(data[1], '?');
  EXPECT_EQ(b.length, 0U);
}

} // namespace
