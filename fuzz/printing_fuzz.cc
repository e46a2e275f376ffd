// printing: text about heaps. Numbers as the C library writes them, dumps that agree with statistics and walk, and
// snapshots and their differences as text, JSON and in a form for collectors, each counted a second time; faults; and
// the bump arena, which has no walk.
#include "blocks_model.h"
#include "captured.h"
#include "generated_findings.h"
#include "tests/core/text_sink.h"

#include "checkers/checked/snapshot_sites.h"
#include "tools/ringfence/base/json.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstring>
#include <map>
#include <ringfence/bits.h>
#include <ringfence/bump.h>
#include <ringfence/dump.h>
#include <ringfence/lock.h>
#include <ringfence/simple.h>
#include <ringfence/sizeclass.h>
#include <ringfence/snapshot.h>
#include <ringfence/tlsf.h>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace ringfence::fuzz;

std::vector<std::string> lines_of(const std::string &text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
  }
  return lines;
}

// ---- Numbers ----

std::string printed(const char *format, uint64_t value, int digits) {
  char text[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  (void)std::snprintf(text, sizeof text, format, digits, value);
#pragma GCC diagnostic pop
  return text;
}

// A buffer takes what there is room for, and ends with a NUL.
void write_numbers(Reader &in) {
  std::string expected;
  std::vector<char> room(1 + in.below(200));
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, room.data(), room.size());
  while (!in.empty()) {
    unsigned const what = in.u8();
    uint64_t const value = a_number(in);
    unsigned const digits = in.u8() % 20;
    switch (what % 5) {
    case 0:
      rf_sink_uint(&buffer.sink, value);
      expected += printed("%.*" PRIu64, value, 1);
      break;
    case 1:
      rf_sink_int(&buffer.sink, static_cast<int64_t>(value));
      expected += printed("%.*" PRId64, value, 1);
      break;
    case 2:
      rf_sink_hex(&buffer.sink, value, digits);
      expected += printed("0x%.*" PRIx64, value, static_cast<int>(std::min(std::max(digits, 1U), 16U)));
      break;
    case 3:
      rf_sink_ptr(&buffer.sink, reinterpret_cast<void *>(static_cast<uintptr_t>(value)));
      expected += printed("0x%.*" PRIx64, static_cast<uintptr_t>(value), 2 * sizeof(void *));
      break;
    default:
      rf_sink_str(&buffer.sink, "text");
      expected += "text";
      break;
    }
  }
  RF_HOLDS(buffer.length == std::min(expected.size(), room.size() - 1));
  RF_HOLDS(expected.compare(0, buffer.length, room.data()) == 0 && room[buffer.length] == '\0');
}

// ---- Faults ----

void write_faults(Reader &in) {
  for (int a = RF_OK; a <= RF_ERR_DELETED; a++) {
    for (int b = RF_OK; b < a; b++) {
      RF_HOLDS(std::strcmp(rf_status_name(static_cast<rf_status>(a)), rf_status_name(static_cast<rf_status>(b))) != 0);
    }
  }
  rf_site const site = {"file.c", "function", in.u16()};
  rf_simple heap;
  alignas(16) unsigned char memory[256];
  RF_HOLDS(rf_simple_init(&heap, memory, sizeof memory) == RF_OK);
  std::string const what(in.below(300), 'w');
  rf_fault fault = {};
  unsigned const how = in.u8();
  fault.status = static_cast<rf_status>(in.below(16));
  fault.allocator = how % 2 == 0 ? &heap.base : nullptr;
  fault.what = how % 4 < 2 ? what.c_str() : nullptr;
  fault.ptr = memory;
  fault.site = how % 8 < 4 ? &site : nullptr;
  std::string const name = rf_status_name(fault.status);
  std::string line;
  rf_sink const sink = ringfence::sink_to(&line);
  rf_fault_print(&fault, &sink);
  std::string start = std::string("ringfence: ") + (fault.allocator != nullptr ? "simple: " : "");
  start += (fault.what != nullptr ? what : name) + " at 0x";
  RF_HOLDS(!name.empty() && line.compare(0, start.size(), start) == 0 && line.back() == '\n');
  std::string const from = ", called from file.c:" + std::to_string(site.line) + " in function\n";
  RF_HOLDS((line.find(from) != std::string::npos) == (fault.site != nullptr));
  std::string said;
  {
    StandardError error;
    rf_fault_log(&fault, nullptr);
    said = error.text();
  }
  RF_HOLDS(said.back() == '\n' && said.size() == std::min<size_t>(line.size(), 255));
  RF_HOLDS(said.compare(0, said.size() - 1, line, 0, said.size() - 1) == 0);
}

// ---- Dumps ----

struct Census {
  std::map<unsigned, std::pair<size_t, size_t>> rows; // used and free by logarithm
  size_t live = 0;
  size_t bytes = 0;
};

bool count_block(const rf_block *block, void *context) {
  auto *const census = static_cast<Census *>(context);
  unsigned const row = block->size == 0 ? 0 : rf_log2(block->size) + 1;
  (block->used ? census->rows[row].first : census->rows[row].second)++;
  census->live += block->used ? 1 : 0;
  census->bytes += block->size + block->overhead;
  return true;
}

class Heap {
public:
  explicit Heap(Reader &in) : in_(in), kind_(in.u8() % 4) {
    size_t const size = 1024 + in.below(memory_.size() - 1024);
    sizes_ = kind_ == 2;
    rf_status status = RF_OK;
    if (sizes_) {
      status = rf_sizeclass_init(&sizeclass_, memory_.data(), size, nullptr);
      heap_ = &sizeclass_.base;
      RF_HOLDS(rf_sizeclass_track_sites(&sizeclass_, table_.data(), 1 + in.below(table_.size())) == RF_OK);
    } else if (kind_ == 0) {
      status = rf_simple_init(&simple_, memory_.data(), size);
      heap_ = &simple_.base;
    } else {
      status = rf_tlsf_init(&tlsf_, memory_.data(), size);
      heap_ = &tlsf_.base;
    }
    RF_HOLDS(status == RF_OK);
    if (kind_ == 3) {
      RF_HOLDS(rf_lock_init(&lock_, heap_) == RF_OK);
      heap_ = &lock_.base;
    }
  }

  void run() {
    static const rf_site sites[] = {{"a.c", "a", 1}, {"b.c", "b", 2}, {"c.c", "c", 3}};
    std::vector<void *> blocks;
    for (size_t left = in_.below(40); left != 0; left--) {
      if (in_.u8() % 4 == 0 && !blocks.empty()) {
        rf_free(heap_, blocks.back());
        blocks.pop_back();
      } else if (void *const p = rf_alloc_at(heap_, in_.length(), 1, &sites[in_.below(3)])) {
        blocks.push_back(p);
      }
    }
    check_copy(&blocks);
    check_dump(blocks.size());
    if (sizes_) {
      check_sizeclass(blocks.size());
    }
    rf_deinit(heap_);
  }

private:
  void check_copy(std::vector<void *> *blocks) {
    std::string const text = a_text(in_);
    if (char *const copy = rf_strdup_at(heap_, text.c_str(), RF_HERE)) {
      RF_HOLDS(text == copy);
      blocks->push_back(copy);
    }
  }

  void check_dump(size_t live) {
    Census census;
    rf_stats stats;
    unsigned const how = in_.u8();
    rf_dump_options const options = {how % 2 == 0, how % 4 < 2, in_.below(8), static_cast<unsigned>(in_.below(256))};
    unsigned const width = std::min(std::max(options.width, 40U), 200U);
    std::string text;
    rf_sink const sink = ringfence::sink_to(&text);
    RF_HOLDS(rf_dump(heap_, &sink, how % 8 == 7 ? nullptr : &options) == RF_OK);
    RF_HOLDS(rf_walk(heap_, count_block, &census) == RF_OK && census.live == live);
    rf_stats_get(heap_, &stats);
    std::vector<std::string> const lines = lines_of(text);
    std::string const names = kind_ == 3 ? "lock > tlsf" : heap_->ops->name;
    RF_HOLDS(lines[0].compare(0, names.size() + 2, names + ": ") == 0);
    RF_HOLDS(lines[0].find(std::to_string(stats.used)) != std::string::npos);
    if (how % 8 != 7) {
      check_histogram(lines, census, options.histogram);
      check_map(lines, census, options.map, width);
      check_list(text, live, options.live_blocks);
    }
  }

  static void check_histogram(const std::vector<std::string> &lines, const Census &census, bool asked) {
    auto const head = std::find(lines.begin(), lines.end(), "  size    used    free");
    RF_HOLDS((head != lines.end()) == asked);
    auto line = asked ? head + 1 : lines.end();
    for (const auto &[log, counts] : census.rows) {
      if (asked) { // "  512       1       1  ####"
        RF_HOLDS(line != lines.end() && std::stoull(line->substr(7)) == counts.first);
        RF_HOLDS(std::stoull(line->substr(15)) == counts.second);
        line++;
      }
    }
  }

  static void check_map(const std::vector<std::string> &lines, const Census &census, bool asked, unsigned width) {
    auto const found = std::find_if(lines.begin(), lines.end(),
                                    [](const std::string &line) { return line.compare(0, 3, "  [") == 0; });
    RF_HOLDS((found != lines.end()) == asked);
    RF_HOLDS(!asked || found->size() == 4 + std::min<size_t>(census.bytes, width - 4));
  }

  static void check_list(const std::string &text, size_t live, size_t most) {
    size_t const listed = std::min(live, most);
    size_t count = 0;
    for (size_t at = text.find("\n    0x"); at != std::string::npos; at = text.find("\n    0x", at + 1)) {
      count++;
    }
    RF_HOLDS(count == listed);
    bool const more = most != 0 && live > most;
    RF_HOLDS((text.find("and " + std::to_string(live - listed) + " more") != std::string::npos) == more);
  }

  void check_sizeclass(size_t live) {
    std::string text;
    rf_sink const sink = ringfence::sink_to(&text);
    RF_HOLDS(rf_sizeclass_print_live(&sizeclass_, &sink) == live);
    RF_HOLDS(lines_of(text).size() == live);
    text.clear();
    rf_sizeclass_print(&sizeclass_, &sink);
    RF_HOLDS(text.empty() || text.back() == '\n');
  }

  Reader &in_;
  unsigned kind_;
  bool sizes_ = false;
  alignas(64) std::array<unsigned char, 16384> memory_{};
  std::array<rf_sizeclass_site, 4> table_{};
  rf_simple simple_{};
  rf_tlsf tlsf_{};
  rf_sizeclass sizeclass_{};
  rf_lock lock_{};
  rf_allocator *heap_ = nullptr;
};

// ---- Snapshots ----

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
    std::string const log = Folder::path() + "/snapshot";
    write_file(log, "");
    rf_report_options_default(&options);
    options.format = static_cast<rf_format>(in_.below(3));
    options.log = log.c_str();
    options.log_length = log.size();
    rf_log_reporter_init(&reporter, &options);
    RF_HOLDS(rf_log_reporter_snapshot(&reporter, &after_, before));
    (void)close(reporter.fd);
    std::string const text = read_file(log);
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

// ---- The bump arena ----

struct Chunks {
  size_t live = 0;
  bool refuses = false;
};

void *grow(void *context, size_t *size) {
  auto *const chunks = static_cast<Chunks *>(context);
  if (chunks->refuses) {
    return nullptr;
  }
  chunks->live++;
  *size += 100;
  return std::malloc(*size);
}

void shrink(void *context, void *memory, size_t) {
  static_cast<Chunks *>(context)->live--;
  std::free(memory);
}

struct Piece {
  unsigned char *ptr;
  size_t size;
  unsigned char seed;
};

// Pieces since a mark go, the others keep their contents.
void bump(Reader &in) {
  alignas(16) static unsigned char memory[512];
  Chunks chunks;
  rf_bump_source const source = {grow, shrink, &chunks};
  rf_bump arena;
  std::vector<Piece> pieces;
  std::vector<std::pair<rf_bump_mark, size_t>> marks;
  bool const fixed = in.u8() % 4 == 1;
  RF_HOLDS(rf_bump_init(&arena, nullptr, 1, nullptr) == RF_ERR_INVALID);
  RF_HOLDS(rf_bump_init(nullptr, memory, 1, nullptr) == RF_ERR_INVALID);
  size_t const size = in.below(sizeof memory);
  RF_HOLDS(rf_bump_init(&arena, size != 0 ? memory : nullptr, size, fixed ? nullptr : &source) == RF_OK);
  for (size_t left = in.below(40); left != 0; left--) {
    unsigned const what = in.u8();
    chunks.refuses = what % 16 == 15;
    rf_bump_mark wrong = rf_bump_get_mark(&arena);
    static unsigned char elsewhere[1]; // the arena may have no memory yet, so that the mark is NULL
    wrong.next = elsewhere;
    RF_HOLDS(rf_bump_reset(&arena, wrong) == RF_ERR_INVALID);
    if (what % 8 == 0) {
      marks.emplace_back(rf_bump_get_mark(&arena), pieces.size());
    } else if (what % 8 == 1 && !marks.empty()) {
      size_t const to = in.below(marks.size());
      RF_HOLDS(rf_bump_reset(&arena, marks[to].first) == RF_OK);
      pieces.resize(marks[to].second);
      marks.resize(to + 1);
    } else {
      size_t const align = size_t{1} << in.below(8);
      size_t const bytes = in.below(300);
      RF_HOLDS(rf_bump_alloc(&arena, bytes, align + (align > 1 ? 1 : 2)) == nullptr);
      if (auto *const p = static_cast<unsigned char *>(rf_bump_alloc(&arena, bytes, align))) {
        RF_HOLDS(reinterpret_cast<uintptr_t>(p) % align == 0);
        std::memset(p, static_cast<int>(what), bytes);
        pieces.push_back({p, bytes, static_cast<unsigned char>(what)});
      } else {
        RF_HOLDS(fixed || chunks.refuses);
      }
    }
    for (const Piece &p : pieces) {
      RF_HOLDS(all_bytes_are(p.ptr, p.size, p.seed));
    }
  }
  rf_bump_clear(&arena);
  RF_HOLDS(chunks.live == 0);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  switch (in.u8() % 8) {
  case 0:
    write_numbers(in);
    break;
  case 1:
    write_faults(in);
    break;
  case 2:
  case 3: {
    Heap heap(in);
    heap.run();
    break;
  }
  case 4:
    bump(in);
    break;
  default: {
    Snapshots snapshots(in);
    snapshots.run();
    break;
  }
  }
  return 0;
}
