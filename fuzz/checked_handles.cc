// A heap of handles, guarded or bare: one stale handle, and leaks.
#include "checked_programs.h"

#include "blocks_model.h"
#include "captured.h"
#include "finding_log.h"

#include <cstring>
#include <ringfence/checked_handles.h>
#include <ringfence/handle.h>
#include <string>
#include <utility>
#include <vector>

namespace ringfence::fuzz {

void run_checked_handles(Reader &in) {
  alignas(64) static unsigned char arena[kCheckedArena];
  FindingLog log;
  rf_checked_options options = {};
  options.settings = some_options(in);
  options.reporter = log.reporter();
  rf_handle_options shape = {};
  shape.average_block = 512; // each check looks at all places of the table
  rf_handle_heap heap;
  rf_checked_handles checked;
  std::vector<std::pair<rf_handle, size_t>> blocks;
  RF_HOLDS(rf_handle_heap_init(&heap, arena, sizeof arena, &shape) == RF_OK);
  RF_HOLDS(rf_checked_handles_init(nullptr, &heap.base, &options) == &heap.base);
  rf_handles *h = nullptr;
  std::string said;
  {
    StandardError error;
    h = rf_checked_handles_init(&checked, &heap.base, &options);
    said = error.text();
  }
  RF_HOLDS((said.find("ringfence: checking handle: mode ") != std::string::npos) == (options.settings.verbosity != 0));
  RF_HOLDS((said.find("sample_rate=") != std::string::npos) >= options.settings.help);
  bool const guarded = options.settings.mode != RF_MODE_OFF && options.settings.mode != RF_MODE_SAMPLE;
  RF_HOLDS((h != &heap.base) == guarded && (checked.mode != RF_MODE_OFF) == guarded);
  for (size_t left = in.below(24); left != 0; left--) {
    size_t const size = 1 + in.below(900);
    rf_handle const handle = in.u8() % 4 != 0 ? rf_handle_alloc_at(h, size, 0, RF_HERE) : 0;
    if (handle != 0) {
      auto *const p = static_cast<unsigned char *>(rf_handle_lock_at(h, handle, RF_HERE));
      RF_HOLDS(p != nullptr);
      std::memset(p, static_cast<int>(size % 251), size);
      RF_HOLDS(rf_handle_unlock_at(h, handle, RF_HERE) == RF_OK);
      blocks.emplace_back(handle, size);
    } else if (!blocks.empty()) {
      auto const [old, bytes] = blocks.back();
      auto *const p = static_cast<unsigned char *>(rf_handle_lock_at(h, old, RF_HERE));
      RF_HOLDS(p != nullptr && p[0] == bytes % 251 && p[bytes - 1] == bytes % 251);
      RF_HOLDS(rf_handle_unlock_at(h, old, RF_HERE) == RF_OK && rf_handle_free_at(h, old, RF_HERE) == RF_OK);
      blocks.pop_back();
    }
  }
  RF_HOLDS(log.count() == 0);
  bool const stale = guarded && in.u8() % 2 == 1 && !blocks.empty();
  if (stale) {
    RF_HOLDS(rf_handle_free_at(h, blocks[0].first, RF_HERE) == RF_OK);
    RF_HOLDS(rf_handle_free_at(h, blocks[0].first, RF_HERE) != RF_OK);
    blocks.erase(blocks.begin());
  }
  bool const leaks = guarded && options.settings.leaks != RF_LEAKS_NONE;
  if (!leaks) {
    blocks.clear();
  }
  rf_checked_handles_deinit(&checked);
  rf_checked_handles_deinit(&checked);
  RF_HOLDS(log.count() == blocks.size() + (stale ? 1 : 0));
  RF_HOLDS(!stale || log.findings()[0].bug == RF_BUG_STALE_HANDLE || log.findings()[0].bug == RF_BUG_DOUBLE_FREE);
}

} // namespace ringfence::fuzz
