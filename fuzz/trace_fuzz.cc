// trace: the reader takes any bytes, and its result can be replayed; events that the writer is given are read back, or
// counted as lost where its tables may not grow; so is what a tracer sees of a heap.
#include "checkers/report/crc32.h"
#include "tests/core/text_sink.h"
#include "tools/trace/read.h"

#include "blocks_model.h"
#include "checkers/trace/trace_format.h"
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <ringfence/fuzz/reader.h>
#include <ringfence/layout.h>
#include <ringfence/simple.h>
#include <ringfence/trace.h>
#include <ringfence/trace_writer.h>
#include <set>
#include <string>
#include <vector>

namespace {

using ringfence::fuzz::Reader;

std::string number(uint32_t value) {
  std::string out;
  for (int i = 0; i < 4; i++) {
    out += static_cast<char>(value >> 8 * i);
  }
  return out;
}

std::string header() {
  std::string const fields = RF_TRACE_MAGIC + number(RF_TRACE_VERSION) + number(0);
  return fields + number(rf_crc32(0, fields.data(), fields.size()));
}

std::string chunk(uint32_t index, const std::string &payload) {
  std::string const name = number(index);
  uint32_t const crc = rf_crc32(rf_crc32(0, name.data(), 4), payload.data(), payload.size());
  return number(static_cast<uint32_t>(payload.size())) + name + number(crc) + payload;
}

struct Parsed {
  explicit Parsed(const std::string &bytes) {
    good = trace_parse(&t, reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size(), problem.data());
  }
  ~Parsed() { trace_free(&t); }
  Parsed(const Parsed &) = delete;
  Parsed &operator=(const Parsed &) = delete;

  std::array<char, TRACE_PROBLEM_BYTES> problem{};
  trace t{};
  bool good;
};

// The promises on which a replay relies.
void check_replayable(const Parsed &p) {
  std::vector<bool> live(p.t.ids);
  size_t bytes = 0;
  RF_HOLDS(p.good == (p.problem[0] == '\0'));
  RF_HOLDS(p.t.site_count >= 1);
  for (size_t i = 0; i < p.t.count; i++) {
    trace_op const &op = p.t.ops[i];
    RF_HOLDS(op.id < p.t.ids && op.site < p.t.site_count);
    RF_HOLDS(op.align == 0 || rf_is_pow2(op.align));
    RF_HOLDS(live[op.id] == (op.kind != TRACE_ALLOC));
    live[op.id] = op.kind != TRACE_FREE;
    bytes = op.size > bytes ? op.size : bytes;
  }
  RF_HOLDS(p.t.peak >= bytes || p.t.peak_blocks > 1);
  for (size_t i = 0; i < p.t.site_count; i++) {
    RF_HOLDS(p.t.sites[i].file != nullptr && p.t.sites[i].function != nullptr);
    RF_HOLDS(p.t.sites[i].depth <= RF_TRACE_FRAMES_MOST);
  }
  for (size_t i = 0; i < p.t.module_count; i++) {
    RF_HOLDS(p.t.modules[i].path != nullptr && p.t.modules[i].build_id != nullptr);
  }
}

// Payloads of a few chunks, in order.
void read_payloads(Reader &in) {
  std::string file = header();
  for (uint32_t index = 0; !in.empty() && index < 4; index++) {
    std::string payload;
    for (size_t left = size_t{in.u8()} + 1; left != 0 && !in.empty(); left--) {
      payload += static_cast<char>(in.u8());
    }
    if (!payload.empty()) {
      file += chunk(index, payload);
    }
  }
  check_replayable(Parsed(file));
}

// ---- The writer and its reader ----

struct Expected {
  trace_kind kind;
  size_t block;
  size_t size;
  size_t align;
  unsigned line;
  uint32_t thread;
  unsigned depth;
};

// The room of the writer's tables: the memory of the start, more that they ask for, or neither.
enum class Room { kEnough, kMore, kNone };

class Recording {
public:
  Recording(Reader &in, Room room) : in_(in), room_(room) {
    rf_trace_writer_options options{};
    options.sink = ringfence::sink_to(&file_);
    options.memory = memory_.data();
    options.size = room == Room::kEnough ? memory_.size() * sizeof(size_t) : RF_TRACE_MEMORY_MIN;
    options.context = this;
    options.more = room == Room::kMore ? more : nullptr;
    options.met = room == Room::kEnough ? nullptr : met;
    RF_HOLDS(rf_trace_writer_init(&w_, &options) == RF_OK);
    options.size = RF_TRACE_MEMORY_MIN - 1;
    RF_HOLDS(rf_trace_writer_init(&w_, &options) == RF_ERR_INVALID);
  }

  void run() {
    while (!in_.empty()) {
      act();
    }
    rf_trace_writer_end(&w_);
    Parsed const p(file_);
    check_replayable(p);
    RF_HOLDS(p.good && p.t.complete);
    RF_HOLDS(p.t.module_count == modules_.size());
    if (room_ == Room::kNone) {
      RF_HOLDS(p.t.lost == w_.lost && (p.t.lost > unknown_ || p.t.count == all_.size()));
      return;
    }
    RF_HOLDS(p.t.lost == unknown_ && p.t.failures == failures_);
    RF_HOLDS(p.t.count == all_.size());
    std::map<size_t, size_t> ids; // of live blocks, by their number here
    for (size_t i = 0; i < all_.size(); i++) {
      compare(p.t, p.t.ops[i], all_[i], ids);
    }
  }

private:
  static void *more(void *context, size_t size) {
    auto *const self = static_cast<Recording *>(context);
    self->larger_.emplace_back(new size_t[size / sizeof(size_t)]());
    return self->larger_.back().get();
  }

  // The module of a place's first frame.
  static void met(void *context, const rf_trace *where) {
    auto *const self = static_cast<Recording *>(context);
    uintptr_t const start = where->frames[0] & ~uintptr_t{15};
    if (self->modules_.insert(start).second) {
      rf_trace_writer_module(&self->w_, start, start + 16, start, "/lib/a.so", start % 32 == 0 ? nullptr : "c0ffee");
    }
  }

  static void compare(const trace &t, const trace_op &op, const Expected &e, std::map<size_t, size_t> &ids) {
    RF_HOLDS(op.kind == e.kind && op.size == e.size && op.thread == e.thread);
    RF_HOLDS(t.sites[op.site].line == e.line && t.sites[op.site].depth == e.depth);
    RF_HOLDS(e.kind == TRACE_FREE || (op.align == 0 ? RF_ALIGN_DEFAULT : op.align) == e.align);
    if (e.kind == TRACE_ALLOC) {
      ids[e.block] = op.id;
    }
    RF_HOLDS(ids.at(e.block) == op.id);
    if (e.kind == TRACE_FREE) {
      ids.erase(e.block);
    }
  }

  void act() {
    unsigned const what = in_.u8();
    void *const ptr = a_block();
    rf_trace const where = a_place();
    depth_ = where.depth;
    size_t const size = in_.u16();
    size_t const align = size_t{1} << in_.u8() % 12;
    unsigned const line = where.site != nullptr ? where.site->line : 0;
    now_ += uint64_t{in_.u8()} << what % 32;
    switch (what % 6) {
    case 0:
    case 1:
      forget(ptr, line, where.thread);
      rf_trace_writer_alloc(&w_, ptr, size, align, &where, now_);
      live_[ptr] = next_;
      all_.push_back({TRACE_ALLOC, next_++, size, align, line, where.thread, depth_});
      return;
    case 2:
      rf_trace_writer_alloc(&w_, nullptr, size, align, &where, now_);
      failures_++;
      return;
    case 3:
      unknown_ += live_.count(ptr) == 0 ? 1 : 0;
      rf_trace_writer_free(&w_, ptr, &where, now_);
      forget(ptr, line, where.thread);
      return;
    case 4:
      resize(ptr, size, align, what, where, line);
      return;
    default:
      rf_trace_writer_flush(&w_);
      return;
    }
  }

  void resize(void *ptr, size_t size, size_t align, unsigned what, const rf_trace &where, unsigned line) {
    void *const to = what >= 128 ? ptr : a_block();
    bool const failed = what % 12 == 4 && to == ptr;
    size_t name = 0;
    bool const known = live_.count(ptr) != 0;
    bool const taken = rf_trace_writer_take(&w_, ptr, &name);
    RF_HOLDS(taken == known || room_ == Room::kNone);
    unknown_ += known ? 0 : 1;
    if (!known || !taken) {
      return;
    }
    size_t const block = live_[ptr];
    live_.erase(ptr);
    forget(to, line, where.thread);
    rf_trace_writer_resized(&w_, name, to, size, align, failed, &where, now_);
    live_[to] = block;
    if (failed) {
      failures_++;
    } else {
      all_.push_back({TRACE_REALLOC, block, size, align, line, where.thread, depth_});
    }
  }

  // The block that was there was freed, recorded or not.
  void forget(void *ptr, unsigned line, uint32_t thread) {
    auto const at = live_.find(ptr);
    if (at != live_.end()) {
      all_.push_back({TRACE_FREE, at->second, 0, 0, line, thread, depth_});
      live_.erase(at);
    }
  }

  // One of 40 addresses, unevenly spread, so that they collide.
  void *a_block() {
    size_t const which = in_.u8() % 40U;
    return &places_[which * which * 53 % places_.size()];
  }

  rf_trace a_place() {
    static const rf_site sites[] = {{"a.c", "one", 1}, {"b.c", "two", 2}, {nullptr, nullptr, 3}};
    rf_trace where{};
    unsigned const which = in_.u8();
    where.site = which % 4 == 3 ? nullptr : &sites[which % 4];
    where.thread = which / 64;
    if (room_ != Room::kEnough) {
      where.depth = static_cast<unsigned>(in_.below(RF_TRACE_FRAMES_MOST + 1));
      uintptr_t const first = in_.u8();
      for (unsigned i = 0; i < where.depth; i++) {
        where.frames[i] = 0x1000 + first + i * first;
      }
    }
    return where;
  }

  Reader &in_;
  Room room_;
  unsigned depth_ = 0;
  std::vector<std::unique_ptr<size_t[]>> larger_;
  std::set<uintptr_t> modules_;
  rf_trace_writer w_{};
  std::string file_;
  // A table hardly larger than the blocks need, so that places in it collide.
  std::vector<size_t> memory_ = std::vector<size_t>(2400 / sizeof(size_t));
  std::array<uint64_t, 4099> places_{};
  std::map<void *, size_t> live_;
  std::vector<Expected> all_;
  size_t next_ = 0;
  uint64_t failures_ = 0;
  uint64_t unknown_ = 0; // requests about addresses at which no block is: they count as lost
  uint64_t now_ = 0;
};

// ---- A tracer over a heap ----

class Traced {
public:
  explicit Traced(Reader &in) : in_(in) {
    rf_tracer_options options{};
    options.sink = ringfence::sink_to(&file_);
    options.memory = tables_.data();
    options.size = tables_.size() * sizeof(size_t);
    RF_HOLDS(rf_simple_init(&heap_, arena_.data(), arena_.size()) == RF_OK);
    RF_HOLDS(rf_tracer_init(&tracer_, &heap_.base, nullptr) == RF_ERR_INVALID);
    RF_HOLDS(rf_tracer_init(&tracer_, &heap_.base, &options) == RF_OK);
  }

  void run() {
    rf_allocator *const a = &tracer_.base;
    RF_HOLDS(rf_inner(a) == &heap_.base && rf_check(a, nullptr) == RF_OK);
    for (size_t left = in_.below(64); left != 0; left--) {
      act(a);
    }
    rf_stats stats;
    rf_stats_get(a, &stats);
    RF_HOLDS(stats.blocks == blocks_.size());
    rf_deinit(a);
    rf_deinit(a);
    Parsed const p(file_);
    check_replayable(p);
    RF_HOLDS(p.good && p.t.complete && p.t.lost == 0 && p.t.count == kinds_.size() && p.t.failures == failures_);
    for (size_t i = 0; i < kinds_.size(); i++) {
      RF_HOLDS(p.t.ops[i].kind == kinds_[i].first && p.t.ops[i].size == kinds_[i].second);
    }
  }

private:
  void act(rf_allocator *a) {
    unsigned const what = in_.u8() % 8;
    size_t const size = 1 + in_.below(1500);
    void *const p = blocks_.empty() || what < 3 ? nullptr : blocks_[in_.below(blocks_.size())];
    if (what == 7) {
      rf_tracer_flush(&tracer_);
    } else if (p == nullptr) {
      note(rf_alloc(a, size), size, TRACE_ALLOC);
    } else if (what == 3) {
      RF_HOLDS(rf_owns(a, p) && rf_usable_size(a, p) != 0);
      rf_free(a, p);
      forget(p);
      kinds_.emplace_back(TRACE_FREE, 0);
    } else if (what == 4) {
      if (rf_resize(a, p, size) == RF_OK) {
        kinds_.emplace_back(TRACE_REALLOC, size);
      }
    } else {
      void *const moved = rf_realloc(a, p, size);
      if (moved != nullptr) {
        forget(p);
      }
      note(moved, size, TRACE_REALLOC);
    }
  }

  void note(void *p, size_t size, trace_kind kind) {
    if (p == nullptr) {
      failures_++;
    } else {
      blocks_.push_back(p);
      kinds_.emplace_back(kind, size);
    }
  }

  void forget(const void *p) {
    size_t i = 0;
    while (blocks_[i] != p) {
      i++;
    }
    blocks_.erase(blocks_.begin() + static_cast<ptrdiff_t>(i));
  }

  Reader &in_;
  rf_simple heap_{};
  rf_tracer tracer_{};
  std::string file_;
  std::vector<size_t> tables_ = std::vector<size_t>(16384 / sizeof(size_t));
  std::vector<unsigned char> arena_ = std::vector<unsigned char>(8192);
  std::vector<void *> blocks_;
  std::vector<std::pair<trace_kind, size_t>> kinds_;
  uint64_t failures_ = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  unsigned const what = in.u8();
  if (what >= 252) { // stored inputs below stay what they are
    Recording(in, what % 2 == 0 ? Room::kMore : Room::kNone).run();
    return 0;
  }
  if (what >= 248) {
    Traced(in).run();
    return 0;
  }
  switch (what % 3) {
  case 0:
    check_replayable(Parsed(std::string(reinterpret_cast<const char *>(data) + 1, size > 1 ? size - 1 : 0)));
    return 0;
  case 1:
    read_payloads(in);
    return 0;
  default:
    Recording(in, Room::kEnough).run();
    return 0;
  }
}
