// Fields of the serial form as no board of ours sends them: numbers beyond what there is room for, and out of order.
#include "tools/ringfence/model/serial.h"

#include "checkers/report/crc32.h"

#include <ringfence/report_serial.h>

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<unsigned char>;

// A field: its tag, its size, its value.
Bytes field(unsigned tag, const Bytes &value) {
  Bytes out = {static_cast<unsigned char>(tag), static_cast<unsigned char>(value.size())};
  out.insert(out.end(), value.begin(), value.end());
  return out;
}

class SerialFields : public testing::Test {
protected:
  SerialFields() {
    serial_.arena = &arena_;
    serial_.finding = [](void *context, rf_record *record) { static_cast<SerialFields *>(context)->found_ = record; };
    serial_.context = this;
  }
  ~SerialFields() override { rf_bump_arena_free(&arena_); }

  // The finding that has these fields, each in a line of its own.
  const rf_record &received(const std::vector<Bytes> &fields) {
    found_ = nullptr;
    number_++;
    for (size_t i = 0; i < fields.size(); i++) {
      std::string const line = line_of(fields[i], static_cast<unsigned>(i), i + 1 == fields.size());
      EXPECT_TRUE(rf_serial_line(&serial_, line.data(), line.size()));
    }
    EXPECT_EQ(serial_.damaged, 0U);
    EXPECT_NE(found_, nullptr);
    static const rf_record none = {};
    return found_ != nullptr ? *found_ : none;
  }

private:
  std::string line_of(const Bytes &data, unsigned index, bool last) const {
    unsigned const place = index | (last ? RF_SERIAL_LAST : 0U);
    Bytes bytes = {RF_SERIAL_VERSION,
                   RF_BUG_DOUBLE_FREE + 1,
                   number_,
                   0,
                   static_cast<unsigned char>(place & 0xFF),
                   static_cast<unsigned char>(place >> 8)};
    bytes.insert(bytes.end(), data.begin(), data.end());
    uint32_t const crc = rf_crc32(0, bytes.data(), bytes.size());
    for (unsigned i = 0; i < RF_SERIAL_CRC; i++) {
      bytes.push_back(static_cast<unsigned char>(crc >> 8 * i));
    }
    std::string line = RF_SERIAL_MARK;
    for (unsigned char const byte : bytes) {
      line += "0123456789abcdef"[byte >> 4];
      line += "0123456789abcdef"[byte & 15];
    }
    return line;
  }

  rf_bump_arena arena_ = {nullptr};
  rf_serial serial_ = {};
  rf_record *found_ = nullptr;
  unsigned char number_ = 0;
};

TEST_F(SerialFields, FramesBeyondAStackAreLeftOut) {
  for (unsigned const number : {0U, RF_TRACE_DEPTH - 1U, RF_TRACE_DEPTH + 0U, 255U}) {
    auto const index = static_cast<unsigned char>(number);
    const rf_record &r = received({field(RF_SERIAL_TRACE + RF_SERIAL_PC, {index, 0x34, 0x12}),
                                   field(RF_SERIAL_TRACE + RF_SERIAL_PC_FUNCTION, {index, 'f'})});
    ASSERT_EQ(r.found.count, number < RF_TRACE_DEPTH ? number + 1 : 0U);
    if (number < RF_TRACE_DEPTH) {
      EXPECT_EQ(r.found.frames[number].address, 0x1234U);
      EXPECT_STREQ(r.found.frames[number].function, "f");
    }
  }
}

TEST_F(SerialFields, TheWindowIsAsLargeAsItsLastClassInAnyOrder) {
  const rf_finding &f = received({field(RF_SERIAL_CLASSES, {4, 'g', 'g'}), field(RF_SERIAL_CLASSES, {0, 'u', 'u'}),
                                  field(RF_SERIAL_WINDOW, {5, 0xAB})})
                            .finding;
  EXPECT_EQ(f.window_size, 6U);
  EXPECT_EQ(f.window[5], 0xAB);
  EXPECT_EQ(f.window_class[1], rf_byte_class_of('u'));
  EXPECT_EQ(f.window_class[5], rf_byte_class_of('g'));
}

TEST_F(SerialFields, BytesBeyondTheWindowAreLeftOut) {
  const auto last = static_cast<unsigned char>(RF_WINDOW - 1);
  const rf_finding &f =
      received({field(RF_SERIAL_CLASSES, {last, 'g', 'g'}), field(RF_SERIAL_EXPECTED, {last, 1, 2, 3})}).finding;
  EXPECT_EQ(f.window_size, unsigned{RF_WINDOW});
  EXPECT_EQ(f.expected[last], 1U);
  EXPECT_EQ(received({field(RF_SERIAL_CLASSES, {255, 'g'})}).finding.window_size, 0U);
}

TEST_F(SerialFields, TracesThatThereAreNotAreLeftOut) {
  const rf_record &r = received({field(RF_SERIAL_TRACE + 3 * RF_SERIAL_TRACE_STEP + RF_SERIAL_PC, {0, 1}),
                                 field(255, {1}), field(RF_SERIAL_TRACE + RF_SERIAL_PC, {})});
  EXPECT_EQ(r.found.count + r.allocated.count + r.released.count, 0U);
}

} // namespace
