// sizeclass: every promise of the interface, and survival of damage. Every other input runs with a fallback (a tlsf in
// the second half of the arena or elsewhere), with statistics per site, and over memory of an earlier heap.
#include <ringfence/fuzz/target.h>
#include <ringfence/sizeclass.h>
#include <ringfence/tlsf.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace {

rf_sizeclass heap;
rf_tlsf fallback;
rf_sizeclass_site table[4];
alignas(16) unsigned char elsewhere[1 << 16];
bool lived_before; // in this execution

rf_allocator *init(void *, void *arena, size_t size) {
  return rf_sizeclass_init(&heap, arena, size, nullptr) == RF_OK ? &heap.base : nullptr;
}

constexpr size_t kFirst = offsetof(rf_sizeclass, fallback);
constexpr size_t kConstant = offsetof(rf_sizeclass, root) - kFirst; // under its checksum, with which these begin
constexpr size_t kRecord = offsetof(rf_sizeclass, counters) - kFirst;

// A byte on which the heap relies: of its record, or before a block from the fallback.
unsigned char *byte_to_damage(void *large, size_t choice) {
  return choice < kRecord ? reinterpret_cast<unsigned char *>(&heap) + kFirst + choice
                          : static_cast<unsigned char *>(large) - 1 - (choice - kRecord);
}

void call_all(unsigned char *const blocks[], size_t count) {
  rf_stats unused;
  rf_stats_get(&heap.base, &unused);
  (void)rf_check(&heap.base, nullptr);
  (void)rf_walk(
      &heap.base, [](const rf_block *, void *) { return true; }, nullptr);
  for (size_t i = 0; i < count; i++) {
    (void)rf_owns(&heap.base, blocks[i]);
    void *const moved = rf_realloc(&heap.base, blocks[i], 300);
    (void)rf_alloc(&heap.base, 100);
    (void)rf_free(&heap.base, moved != nullptr ? moved : blocks[i]);
  }
}

// Blocks of several sites, a notifier, an overwritten byte: no crash, and no trace in the next heap over this memory.
void live_before(size_t choice) {
  static const rf_site sites[] = {{"a.c", "f", 1}, {"b.c", "f", 1}, {"a.c", "g", 1}, {"c.c", "f", 7}, {"d.c", "f", 7}};
  rf_fault_scope scope;
  unsigned char *blocks[25];
  if (rf_tlsf_init(&fallback, elsewhere, sizeof elsewhere) != RF_OK ||
      rf_sizeclass_init(&heap, nullptr, 512, &fallback.base) != RF_OK) {
    return;
  }
  if (rf_sizeclass_track_sites(&heap, table, 0) != RF_ERR_INVALID ||
      rf_sizeclass_track_sites(&heap, table, 4) != RF_OK) {
    abort();
  }
  rf_sizeclass_set_notifier(
      &heap, [](void *, size_t) {}, nullptr);
  for (size_t i = 0; i < 25; i++) {
    blocks[i] = static_cast<unsigned char *>(rf_alloc_at(&heap.base, 20 + i * 7, RF_ALIGN_DEFAULT, &sites[i % 5]));
  }
  if (rf_sizeclass_track_sites(&heap, table, 4) != RF_ERR_BUSY) {
    abort();
  }
  rf_fault_scope_enter(
      &scope, [](const rf_fault *, void *) {}, nullptr);
  (void)rf_alloc(&heap.base, sizeof elsewhere);
  choice %= kRecord + 7 * sizeof(size_t) + 16;
  *byte_to_damage(blocks[20], choice) ^= static_cast<unsigned char>(1U << choice % 8);
  call_all(blocks, 25);
  rf_deinit(&heap.base);
  if (choice < kConstant) { // its end did not look for headers: a program clears what it makes a heap again
    memset(elsewhere, 0, sizeof elsewhere);
  }
  rf_fault_scope_leave(&scope);
}

rf_allocator *init_both(void *, void *arena, size_t size) {
  if (arena == nullptr || size > RF_FUZZ_MAX_ARENA) {
    return nullptr; // tlsf must refuse it: half of it could be served
  }
  if (!lived_before) {
    live_before(size);
    lived_before = true;
  }
  auto *const half = static_cast<unsigned char *>(arena) + size / 2;
  bool const borrow = size % 3 == 0;
  bool const inside = size % 5 != 0;
  if (rf_tlsf_init(&fallback, inside ? half : elsewhere, inside ? size - size / 2 : sizeof elsewhere) != RF_OK ||
      rf_sizeclass_init(&heap, borrow ? nullptr : arena, borrow ? size / 4 : size / 2, &fallback.base) != RF_OK ||
      rf_sizeclass_track_sites(&heap, table, 4) != RF_OK) {
    return nullptr;
  }
  return &heap.base;
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("sizeclass", init);
  t.min_arena = 64;
  t.survives_damage = true;
  t.refuses_ended = true;
  return t;
}

rf_fuzz_target target_both() {
  rf_fuzz_target t = target();
  t.name = "sizeclass over tlsf";
  t.init = init_both;
  t.min_arena = RF_FUZZ_MAX_ARENA + 1; // any may be too small for both
  t.in_arena = false;
  t.accounts_capacity = false; // it grows with what the fallback gives
  t.walk_adds_up = false;      // and so does what the walk covers
  t.walks_in_order = false;    // blocks from the fallback come in any order
  t.largest_is_bound = false;  // the fallback may serve more
  t.survives_damage = false;   // the fallback's own data may be in the arena, too
  return t;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lived_before = false;
  rf_fuzz_target const t = size % 2 == 0 ? target() : target_both();
  rf_fuzz_run(&t, data, size);
  return 0;
}
