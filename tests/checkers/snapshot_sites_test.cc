// Call sites of a snapshot as a collector gets them: each frame and each module once, and nothing of a site that does
// not fit.
#include "checkers/checked/snapshot_sites.h"
#include "checkers/report/json_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

// Modules of 64 KiB; addresses below the first are in none, and odd ones have a line.
bool name_by_module(void *, uintptr_t pc, unsigned, rf_frame_name *out) {
  static char module[32];
  *out = {};
  if (pc < 0x10000) {
    return pc >= 0x8000;
  }
  (void)std::snprintf(module, sizeof module, "/m%u", static_cast<unsigned>(pc >> 16));
  out->module = module;
  out->build_id = "ab";
  out->offset = pc & 0xFFFF;
  if (pc % 2 != 0) {
    out->file = "a.c";
    out->line = 7;
    out->function = pc % 4 == 1 ? "f" : nullptr;
  }
  return true;
}

class SnapshotSites : public testing::Test {
protected:
  void add(size_t bytes, size_t blocks, const std::vector<uintptr_t> &frames, const rf_site *site = nullptr) {
    rf_snapshot_site s = {};
    s.bytes = bytes;
    s.blocks = blocks;
    s.allocated.site = site;
    s.allocated.depth = static_cast<unsigned>(frames.size());
    for (size_t i = 0; i < frames.size(); i++) {
      s.allocated.frames[i] = frames[i];
    }
    sites_.push_back(s);
  }

  std::string written(size_t room, const rf_symbolizer *symbolizer, size_t omitted_blocks = 0,
                      size_t omitted_bytes = 0) {
    std::vector<char> text(room);
    rf_sink_buffer buffer;
    rf_sink_buffer_init(&buffer, text.data(), text.size());
    rf_json_writer json = {};
    json.sink = &buffer.sink;
    *work_ = {};
    work_->out = &buffer;
    work_->symbolizer = symbolizer;
    std::vector<const rf_snapshot_site *> order;
    for (const rf_snapshot_site &s : sites_) {
      order.push_back(&s);
    }
    rf_json_open(&json, nullptr, "{");
    rf_snapshot_sites_write(work_.get(), &json, order.data(), order.size(), omitted_blocks, omitted_bytes);
    rf_json_close(&json, "}");
    EXPECT_LT(buffer.length, room - 1) << "the end is whole";
    return text.data();
  }

  const rf_symbolizer symbolizer_ = {name_by_module, nullptr};
  std::vector<rf_snapshot_site> sites_;
  std::unique_ptr<rf_snapshot_sites> work_ = std::make_unique<rf_snapshot_sites>();
};

TEST_F(SnapshotSites, HaveEachFrameAndModuleOnce) {
  const rf_site site = {"b.c", "g", 5};
  add(100, 2, {0x10010, 0x20021});
  add(30, 1, {0x20021, 0x10010, 0x1002B, 0});
  add(20, 1, {0x8000, 0x9}, &site);
  add(10, 1, {0x9, 0}, &site);
  EXPECT_EQ(written(2000, &symbolizer_, 3, 4), R"({"sites":[[100,2,[[{"path":"/m1","build_id":"ab"},"0x10"],)"
                                               R"([{"path":"/m2","build_id":"ab"},"0x21","f","a.c",7]]],)"
                                               R"([30,1,[1,0,[0,"0x2b","","a.c",7],[-1,"0x0"]]],)"
                                               R"([20,1,[[-1,"0x0","g","b.c",5],[-1,"0x8000"],[-1,"0x9"]]],)"
                                               R"([10,1,[4,6,3]]],"omitted_blocks":3,"omitted_bytes":4})");
}

TEST_F(SnapshotSites, WithoutNamesHaveAddresses) {
  add(100, 2, {0x10010, 0x20021});
  EXPECT_EQ(written(2000, nullptr),
            R"({"sites":[[100,2,[[-1,"0x10010"],[-1,"0x20021"]]]],"omitted_blocks":0,"omitted_bytes":0})");
}

// In each room that there may be: whole sites, the first ones, and the rest in the sums.
TEST_F(SnapshotSites, ThatDoNotFitAreCountedAndLeaveNothing) {
  for (uintptr_t i = 0; i < 8; i++) {
    add(1000 + i, 10 + i, {0x10000 * (i + 1) + 1, 0x10000 * (i + 1) + 2, 0x10001});
  }
  std::string const whole = written(4000, &symbolizer_);
  size_t least = sites_.size();
  for (size_t room = 200; room < whole.size() + 150; room++) {
    std::string const text = written(room, &symbolizer_, 1, 2);
    size_t const end = text.find("],\"omitted_blocks\":");
    ASSERT_NE(end, std::string::npos) << text;
    EXPECT_EQ(whole.compare(0, end, text, 0, end), 0) << text;
    size_t kept = 0;
    size_t blocks = 1;
    size_t bytes = 2;
    for (size_t i = 0; i < sites_.size(); i++) {
      bool const there = text.find("[" + std::to_string(1000 + i) + ",") < end;
      kept += there ? 1 : 0;
      blocks += there ? 0 : 10 + i;
      bytes += there ? 0 : 1000 + i;
    }
    EXPECT_EQ(text.substr(end),
              "],\"omitted_blocks\":" + std::to_string(blocks) + ",\"omitted_bytes\":" + std::to_string(bytes) + "}");
    EXPECT_EQ(work_->frame_count, 2 * kept) << text;
    EXPECT_EQ(work_->module_count, kept);
    least = std::min(least, kept);
  }
  EXPECT_EQ(least, 0U);
}

TEST_F(SnapshotSites, HaveSixtyFourModules) {
  for (uintptr_t i = 1; i <= 66; i++) {
    add(1, 1, {i << 16});
  }
  add(1, 1, {(uintptr_t{64} << 16) + 2});
  std::string const text = written(100000, &symbolizer_);
  EXPECT_NE(text.find(R"([1,1,[[{"path":"/m64","build_id":"ab"},"0x0"]]],[1,1,[[-1,"0x0"]]],[1,1,[[-1,"0x0"]]])"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"([1,1,[[63,"0x2"]]])"), std::string::npos) << text;
}

TEST_F(SnapshotSites, HaveSixThousandOneHundredAndFortyFourFrames) {
  for (uintptr_t i = 0; i < 192; i++) {
    std::vector<uintptr_t> frames;
    for (uintptr_t k = 0; k < 32; k++) {
      frames.push_back(0x100000 + 16 * (32 * i + k));
    }
    add(1, 1, frames);
  }
  add(5, 1, {0x100000});
  add(7, 1, {0x10});
  std::string const text = written(1000000, nullptr);
  EXPECT_EQ(work_->frame_count, 6144U);
  EXPECT_EQ(text.substr(text.rfind("[5,")), R"([5,1,[0]]],"omitted_blocks":1,"omitted_bytes":7})");
}

} // namespace
