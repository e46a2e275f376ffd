// Modules that were unloaded (checkers/os/modules_linux.c): their return addresses are still named.
#include "tests/checkers/modules_fixture.h"

namespace ringfence {
namespace {

TEST_F(ModulesMade, ThoseThatWereUnloadedAreKnownBehindTheOthers) {
  rf_module const one = unloaded(0x30000, 0x34000, 0x2F000, "aabb");
  rf_module const two = unloaded(0x32000, 0x36000, 0x31000, "ccdd");
  rf_modules_remember(&one, "/gone/one");
  rf_modules_remember(&two, "/gone/two");
  mappings = {mapping(0, 4, 0)};
  load({0x30010, start + 8});
  ASSERT_EQ(modules.count, 2U);
  EXPECT_EQ(path(0), "/lib/made.so");
  EXPECT_EQ(path(1), "/gone/one");
  EXPECT_EQ(modules.modules[1].bias, 0x2F000U);
  EXPECT_EQ(modules.modules[1].start, 0x30000U);
  EXPECT_EQ(modules.modules[1].end, 0x34000U);
  EXPECT_STREQ(modules.modules[1].build_id, "aabb");
  load({0x33000});
  ASSERT_EQ(modules.count, 2U);
  EXPECT_EQ(path(0), "/gone/two") << "the newest first";
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules, false);
  rf_frame_name name;
  ASSERT_TRUE(symbolizer.name(symbolizer.context, 0x33000, 0, &name));
  EXPECT_STREQ(name.module, "/gone/two");
  EXPECT_STREQ(name.build_id, "ccdd");
  EXPECT_EQ(name.offset, 0x2000U);
  load({0x30000, 0x36001});
  EXPECT_EQ(modules.count, 0U) << "a return address is behind a call";
  load({0x36000});
  EXPECT_EQ(modules.count, 1U);
}

// OpenMPI closes some 150 plugins.
TEST_F(ModulesMade, TheLastHundredsThatWereUnloadedAreKnown) {
  constexpr unsigned kForgotten = 36;
  constexpr unsigned kAll = kForgotten + (sizeof(void *) > 4 ? 512 : 64);
  static std::string paths[kAll];
  for (uintptr_t i = 0; i < kAll; i++) {
    paths[i] = "/gone/" + std::to_string(i);
    rf_module const m = unloaded(0x100000 + i * 0x1000, 0x101000 + i * 0x1000, 0, "");
    rf_modules_remember(&m, paths[i].c_str());
  }
  for (uintptr_t i = 0; i < kAll; i++) {
    load({0x100010 + i * 0x1000});
    ASSERT_EQ(modules.count, i < kForgotten ? 0U : 1U) << i;
    EXPECT_TRUE(i < kForgotten || path() == paths[i]) << path();
    uintptr_t from = 0;
    uintptr_t to = 0;
    const char *const found = rf_modules_unloaded(0x100FFF + i * 0x1000, &from, &to);
    EXPECT_EQ(found, i < kForgotten ? nullptr : paths[i].c_str()) << i;
    EXPECT_EQ(from, i < kForgotten ? 0 : 0x100000 + i * 0x1000);
    EXPECT_EQ(to, i < kForgotten ? 0 : 0x101000 + i * 0x1000);
  }
}

} // namespace
} // namespace ringfence
