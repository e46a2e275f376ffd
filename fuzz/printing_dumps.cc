#include "printing_parts.h"

#include "blocks_model.h"
#include "generated_findings.h"
#include "tests/core/text_sink.h"

#include <algorithm>
#include <array>
#include <map>
#include <ringfence/bits.h>
#include <ringfence/dump.h>
#include <ringfence/lock.h>
#include <ringfence/simple.h>
#include <ringfence/sizeclass.h>
#include <ringfence/tlsf.h>
#include <string>
#include <utility>
#include <vector>

namespace ringfence::fuzz {
namespace {

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

} // namespace

void check_dumps(Reader &in) {
  Heap heap(in);
  heap.run();
}

} // namespace ringfence::fuzz
