// Call sites that a target without texts names by their address: read from the image that it runs.
#include "tests/tools/elf_file.h"
#include "tests/tools/run.h"

#include <gtest/gtest.h>

#include <string>
#include <unistd.h>

extern "C" {
#include "tools/ringfence/symbols/image_site.h"
}

namespace {

// An rf_site of two pointers and a line, behind its texts, as the first bytes behind the header.
struct Image {
  ringfence_test::ElfFile elf;
  uint64_t first = 0;
  uint64_t site = 0;

  explicit Image(bool is64, uint32_t line = 0x01020304) {
    size_t const word = is64 ? 8 : 4;
    first = is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
    std::string text("demo.c\0open_log", 16);
    site = first + text.size();
    for (uint64_t const address : {first, first + 7}) {
      text.append(reinterpret_cast<const char *>(&address), word);
    }
    text.append(reinterpret_cast<const char *>(&line), sizeof line);
    elf.is64 = is64;
    elf.interpreter = text;
  }
};

class ImageSite : public testing::Test {
protected:
  ~ImageSite() override { rf_bump_arena_free(&arena_); }

  const rf_site *site_at(const Image &image, uint64_t address) {
    std::string const file = ringfence_test::scratch("image");
    ringfence_test::write_file(file, image.elf.bytes());
    record_ = {};
    record_.allocated.site = address;
    rf_record *const records[] = {&record_};
    rf_image_sites(&arena_, records, 1, file.c_str());
    unlink(file.c_str());
    EXPECT_EQ(record_.finding.found.site, nullptr);
    EXPECT_EQ(record_.finding.released.site, nullptr);
    return record_.finding.allocated.site;
  }

  rf_bump_arena arena_ = {};
  rf_record record_ = {};
};

TEST_F(ImageSite, EachStackMayHaveOne) {
  Image const image(true);
  record_.found.site = image.site;
  record_.released.site = image.site;
  std::string const file = ringfence_test::scratch("image");
  ringfence_test::write_file(file, image.elf.bytes());
  rf_record *const records[] = {&record_};
  rf_image_sites(&arena_, records, 1, file.c_str());
  unlink(file.c_str());
  for (const rf_trace *const trace : {&record_.finding.found, &record_.finding.released}) {
    ASSERT_NE(trace->site, nullptr);
    EXPECT_STREQ(trace->site->function, "open_log");
  }
  EXPECT_EQ(record_.finding.allocated.site, nullptr);
}

TEST_F(ImageSite, IsNoneWhereOneOfItsTextsIsNowhere) {
  for (size_t const text : {size_t{0}, size_t{1}}) {
    Image image(true);
    image.elf.interpreter.replace(static_cast<size_t>(image.site - image.first) + 8 * text, 8, 8, '\x7f');
    EXPECT_EQ(site_at(image, image.site), nullptr) << text;
  }
}

TEST_F(ImageSite, IsReadByTheWidthOfTheTarget) {
  for (bool const is64 : {true, false}) {
    Image const image(is64);
    const rf_site *const site = site_at(image, image.site);
    ASSERT_NE(site, nullptr) << is64;
    EXPECT_STREQ(site->file, "demo.c");
    EXPECT_STREQ(site->function, "open_log");
    EXPECT_EQ(site->line, 0x01020304U);
  }
}

TEST_F(ImageSite, IsNoneWhereTheImageHasNothing) {
  Image const image(true);
  EXPECT_EQ(site_at(image, 0), nullptr);
  EXPECT_EQ(site_at(image, image.elf.bytes().size() + 1000), nullptr);
  EXPECT_EQ(site_at(image, image.site + 1), nullptr) << "texts that are nowhere";
}

} // namespace
