// printing: text about heaps. Numbers as the C library writes them, and faults; dumps and snapshots (printing_parts.h);
// and the bump arena, which has no walk.
#include "blocks_model.h"
#include "captured.h"
#include "generated_findings.h"
#include "printing_parts.h"
#include "tests/core/text_sink.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <ringfence/bump.h>
#include <ringfence/fault.h>
#include <ringfence/simple.h>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace ringfence::fuzz;

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
  case 3:
    check_dumps(in);
    break;
  case 4:
    bump(in);
    break;
  default:
    check_snapshots(in);
    break;
  }
  return 0;
}
