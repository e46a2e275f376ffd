#include "printing_parts.h"

#include "blocks_model.h"
#include "generated_findings.h"
#include "memory_log.h"
#include "tests/core/text_sink.h"

#include "checkers/checked/snapshot_sites.h"
#include "tools/ringfence/base/json.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ringfence/snapshot.h>
#include <string>
#include <vector>

namespace ringfence::fuzz {
namespace {

struct Sum {
  int64_t blocks = 0;
  int64_t bytes = 0;
};

// Call sites that differ by their number alone.
class Snapshots {
public:
  explicit Snapshots(Reader &in) : in_(in), findings_(in) {
    size_t const generated = in.below(4);
    for (size_t i = 0; i < places_.size(); i++) { // cheap ones, of frames that the others may have named
      places_[i] = i < generated ? findings_.next().allocated : rf_trace{};
      places_[i].depth = i < generated ? places_[i].depth : 1 + static_cast<unsigned>(i % 3);
      for (unsigned k = 0; i >= generated && k < places_[i].depth; k++) {
        places_[i].frames[k] = 0x1000 + 16 * ((i * 7 + k) % 64);
      }
    }
    before_sites_.resize(in.below(24));
    after_sites_.resize(in.below(24));
    rf_snapshot_init(&before_, "before", before_sites_.data(), before_sites_.size());
    rf_snapshot_init(&after_, "after", after_sites_.data(), after_sites_.size());
    before_.allocator = "tlsf";
    after_.allocator = "tlsf";
  }

  void run() {
    for (size_t left = in_.below(48); left != 0; left--) {
      bool const old = in_.u8() % 2 == 0;
      size_t const place = in_.below(places_.size());
      size_t const bytes = in_.length();
      rf_snapshot_add(old ? &before_ : &after_, &places_[place], bytes);
      (old ? all_before_ : all_after_).blocks++;
      (old ? all_before_ : all_after_).bytes += static_cast<int64_t>(bytes);
    }
    bool const difference = in_.u8() % 2 == 0;
    check_rows(difference ? &before_ : nullptr);
    check_text(difference ? &before_ : nullptr);
    check_sites();
  }

private:
  static bool is_same(const rf_trace &a, const rf_trace &b) {
    return a.site == b.site && a.depth == b.depth && std::equal(a.frames, a.frames + a.depth, b.frames);
  }

  // The sum over the slots, found by looking at each.
  static Sum sum_at(const rf_snapshot *s, const rf_trace &place) {
    Sum sum;
    for (size_t i = 0; s != nullptr && i < s->capacity; i++) {
      if (s->sites[i].blocks != 0 && is_same(s->sites[i].allocated, place)) {
        sum.blocks += static_cast<int64_t>(s->sites[i].blocks);
        sum.bytes += static_cast<int64_t>(s->sites[i].bytes);
      }
    }
    return sum;
  }

  void check_rows(const rf_snapshot *before) {
    size_t cursor = 0;
    Sum rows;
    for (rf_snapshot_delta row; rf_snapshot_next(&after_, before, &cursor, &row); row_count_++) {
      Sum const now = sum_at(&after_, *row.allocated);
      Sum const then = sum_at(before, *row.allocated);
      RF_HOLDS(row.blocks == now.blocks - then.blocks && row.bytes == now.bytes - then.bytes);
      rows.blocks += row.blocks;
      rows.bytes += row.bytes;
    }
    int64_t const old_blocks =
        before != nullptr ? all_before_.blocks - static_cast<int64_t>(before_.omitted_blocks) : 0;
    int64_t const old_bytes = before != nullptr ? all_before_.bytes - static_cast<int64_t>(before_.omitted_bytes) : 0;
    RF_HOLDS(rows.blocks == all_after_.blocks - static_cast<int64_t>(after_.omitted_blocks) - old_blocks);
    RF_HOLDS(rows.bytes == all_after_.bytes - static_cast<int64_t>(after_.omitted_bytes) - old_bytes);
  }

  // Most bytes first, each row once.
  void check_text(const rf_snapshot *before) {
    rf_log_reporter reporter;
    rf_report_options options;
    static const std::string log = "snapshot";
    rf_report_options_default(&options);
    options.format = static_cast<rf_format>(in_.below(3));
    options.log = log.c_str();
    options.log_length = log.size();
    rf_log_reporter_init(&reporter, &options);
    RF_HOLDS(rf_log_reporter_snapshot(&reporter, &after_, before));
    size_t size = 0;
    const char *const written = rf_memory_log_take(&size);
    std::string const text(size != 0 ? written : "", size);
    if (options.format == RF_FORMAT_JSON) {
      check_json(text);
    } else if (options.format == RF_FORMAT_TEXT) {
      check_table(text, before);
    } else {
      RF_HOLDS(!text.empty() && text.back() == '\n');
    }
  }

  void check_json(const std::string &text) {
    rf_bump_arena arena = {nullptr};
    const rf_json *const json = rf_json_parse(&arena, text.data(), text.size());
    RF_HOLDS(json != nullptr);
    size_t sites = 0;
    for (const rf_json *site = rf_json_list(json, "sites"); site != nullptr; site = site->next) {
      sites++;
    }
    RF_HOLDS(sites == row_count_);
    rf_bump_arena_free(&arena);
  }

  void check_table(const std::string &text, const rf_snapshot *before) const {
    int64_t last = INT64_MAX;
    size_t rows = 0;
    std::string const symbolless = text.substr(text.find('\n') + 1);
    std::string all;
    rf_sink const sink = ringfence::sink_to(&all);
    rf_snapshot_text(&after_, before, nullptr, &sink);
    size_t cursor = 0;
    std::vector<int64_t> bytes;
    for (rf_snapshot_delta row; rf_snapshot_next(&after_, before, &cursor, &row);) {
      bytes.push_back(row.bytes);
    }
    std::sort(bytes.rbegin(), bytes.rend());
    for (const std::string &line : lines_of(symbolless)) {
      char *end = nullptr;
      long long const value = std::strtoll(line.c_str(), &end, 10);
      if (end != line.c_str() && *end == ' ' && line[0] == ' ' && rows < bytes.size() && value == bytes[rows]) {
        RF_HOLDS(value <= last);
        last = value;
        rows++;
      }
    }
    RF_HOLDS(rows >= std::min<size_t>(row_count_, RF_SNAPSHOT_ROWS));
    RF_HOLDS(row_count_ <= RF_SNAPSHOT_ROWS || text.find("  and more call sites") != std::string::npos);
    RF_HOLDS(after_.omitted_blocks == 0 || text.find(" blocks of call sites that did not fit") != std::string::npos);
    RF_HOLDS(all.substr(0, all.find('\n')) == text.substr(0, text.find('\n')));
  }

  // A collector's form: frames and modules are written once, then called by their numbers.
  void check_sites() {
    static rf_snapshot_sites work;
    std::vector<const rf_snapshot_site *> order;
    for (const rf_snapshot_site &site : after_sites_) {
      if (site.blocks != 0) {
        order.push_back(&site);
      }
    }
    std::vector<char> room(300 + in_.length() % 8192);
    rf_sink_buffer line;
    rf_symbolizer const symbolizer = findings_.symbolizer();
    std::memset(&work, 0, sizeof work);
    rf_sink_buffer_init(&line, room.data(), room.size());
    work.out = &line;
    work.symbolizer = in_.u8() % 4 == 1 ? nullptr : &symbolizer;
    rf_json_writer json = {};
    json.sink = &line.sink;
    rf_json_open(&json, nullptr, "{");
    rf_snapshot_sites_write(&work, &json, order.data(), order.size(), after_.omitted_blocks, after_.omitted_bytes);
    rf_json_close(&json, "}");
    check_written(line, order);
  }

  void check_written(const rf_sink_buffer &line, const std::vector<const rf_snapshot_site *> &order) const {
    rf_bump_arena arena = {nullptr};
    const rf_json *const json = rf_json_parse(&arena, line.data, line.length);
    RF_HOLDS(json != nullptr);
    std::vector<uintptr_t> frames; // by number
    size_t written = 0;
    uint64_t blocks = rf_json_unsigned(json, "omitted_blocks", 0);
    uint64_t bytes = rf_json_unsigned(json, "omitted_bytes", 0);
    for (const rf_json *site = rf_json_list(json, "sites"); site != nullptr; site = site->next, written++) {
      RF_HOLDS(written < order.size());
      const rf_json *const count = site->first->next;
      bytes += std::stoull(site->first->text);
      blocks += std::stoull(count->text);
      RF_HOLDS(std::stoull(site->first->text) == order[written]->bytes);
      check_frames(count->next->first, order[written]->allocated, &frames);
    }
    RF_HOLDS(blocks == after_.blocks && bytes == after_.bytes);
    rf_bump_arena_free(&arena);
  }

  static void check_frames(const rf_json *frame, const rf_trace &trace, std::vector<uintptr_t> *frames) {
    std::vector<uintptr_t> expected(trace.frames, trace.frames + trace.depth);
    if (trace.site != nullptr) {
      expected.insert(expected.begin(), reinterpret_cast<uintptr_t>(trace.site));
    }
    for (uintptr_t const pc : expected) {
      RF_HOLDS(frame != nullptr);
      auto const known = std::find(frames->begin(), frames->end(), pc);
      RF_HOLDS((frame->type == RF_JSON_NUMBER) == (known != frames->end()));
      if (known == frames->end()) {
        frames->push_back(pc);
      } else {
        RF_HOLDS(std::stoull(frame->text) == static_cast<size_t>(known - frames->begin()));
      }
      frame = frame->next;
    }
    RF_HOLDS(frame == nullptr);
  }

  Reader &in_;
  Findings findings_;
  std::array<rf_trace, 24> places_{};
  std::vector<rf_snapshot_site> before_sites_;
  std::vector<rf_snapshot_site> after_sites_;
  rf_snapshot before_{};
  rf_snapshot after_{};
  Sum all_before_;
  Sum all_after_;
  size_t row_count_ = 0;
};

} // namespace

void check_snapshots(Reader &in) {
  Snapshots snapshots(in);
  snapshots.run();
}

} // namespace ringfence::fuzz
