#include "lib/core/checksum.h"

#include <gtest/gtest.h>

#include <vector>

namespace {

using Words = std::vector<size_t>;

constexpr size_t kPlace[2] = {};

size_t Sum(const Words &words, const void *place = kPlace) {
  size_t sum = rf_checksum_begin(place);
  for (size_t const word : words) {
    sum = rf_checksum_add(sum, word);
  }
  return sum;
}

// Enough words for each rotation to come round.
Words SomeWords() {
  Words words;
  for (size_t i = 0; i < RF_SIZE_BITS + 1; i++) {
    words.push_back(i * 12345);
  }
  return words;
}

TEST(ChecksumTest, AnyBitOfAnyWordChangesIt) {
  Words words = SomeWords();
  size_t const sum = Sum(words);
  for (size_t &word : words) {
    for (unsigned bit = 0; bit < RF_SIZE_BITS; bit++) {
      word ^= static_cast<size_t>(1) << bit;
      EXPECT_NE(Sum(words), sum);
      word ^= static_cast<size_t>(1) << bit;
    }
  }
}

TEST(ChecksumTest, SwappedWordsChangeIt) {
  EXPECT_NE(Sum({1, 2}), Sum({2, 1}));
}

TEST(ChecksumTest, ACopyAtAnotherPlaceHasAnotherOne) {
  EXPECT_NE(Sum({1, 2}, &kPlace[0]), Sum({1, 2}, &kPlace[1]));
}

TEST(ChecksumTest, AnyBitOfAny32BitWordChangesIt) {
  auto const sum = [](const std::vector<uint32_t> &words) {
    uint32_t s = rf_checksum32_begin(kPlace);
    for (uint32_t const word : words) {
      s = rf_checksum32_add(s, word);
    }
    return s;
  };
  std::vector<uint32_t> words(33, 0x12345678);
  uint32_t const before = sum(words);
  for (uint32_t &word : words) {
    for (unsigned bit = 0; bit < 32; bit++) {
      word ^= UINT32_C(1) << bit;
      EXPECT_NE(sum(words), before);
      word ^= UINT32_C(1) << bit;
    }
  }
}

TEST(ChecksumTest, AnyByteOfTheWordChangesTheUpperBits) {
  for (size_t const word : {size_t{0}, SIZE_MAX, static_cast<size_t>(0x123456789ABCDEF0)}) {
    for (unsigned shift = 0; shift < RF_SIZE_BITS; shift += 8) {
      for (size_t change = 1; change < 256; change++) {
        size_t const other = word ^ change << shift;
        EXPECT_NE(rf_checksum_spread(word) >> 8, rf_checksum_spread(other) >> 8);
      }
    }
  }
}

TEST(ChecksumTest, AnyBitOfEitherArgumentChangesTheMix) {
  size_t const sum = rf_checksum_mix(3, 4);
  for (unsigned bit = 0; bit < RF_SIZE_BITS; bit++) {
    size_t const change = static_cast<size_t>(1) << bit;
    EXPECT_NE(rf_checksum_mix(3 ^ change, 4), sum);
    EXPECT_NE(rf_checksum_mix(3, 4 ^ change), sum);
  }
}

TEST(ChecksumTest, AnyByteChangesTheChecksumOfBytes) {
  std::vector<unsigned char> bytes(24, 0xA5);
  unsigned char const sum = rf_checksum_bytes(7, bytes.data(), bytes.size());
  for (unsigned char &byte : bytes) {
    for (unsigned value = 0; value < 256; value++) {
      unsigned char const was = byte;
      byte = static_cast<unsigned char>(value);
      EXPECT_EQ(rf_checksum_bytes(7, bytes.data(), bytes.size()) == sum, byte == was);
      byte = was;
    }
  }
}

TEST(ChecksumTest, XorsAllBytesOfAWord) {
  EXPECT_EQ(rf_checksum_xor(0x0102040810204080), 0xFFU);
  EXPECT_EQ(rf_checksum_xor(0x0102040810204081), 0xFEU);
}

} // namespace
