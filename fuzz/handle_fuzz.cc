// handle: the first byte of the input chooses between a program on the bare heap (handle_program.h); one on a guard,
// which must be silent until exactly one error is committed; the adapter to rf_allocator; and damage to the table and
// the record.
#include "handle_damage.h"
#include "handle_program.h"
#include "record_damage.h"

#include <ringfence/fuzz/interpreter.h>
#include <ringfence/fuzz/target.h>
#include <ringfence/handle_allocator.h>

#include <cstdlib>

namespace {

using namespace ringfence::fuzz;

// ---- The adapter, by the interpreter ----

rf_handle_heap adapter_heap;
rf_handle_allocator adapter;

rf_allocator *init(void *, void *arena, size_t size) {
  rf_handle_options options = {};
  options.align = size % 3 == 0 ? 64 : RF_ALIGN_DEFAULT;
  options.average_block = 64; // few places, since each check looks at all
  bool const made = rf_handle_heap_init(&adapter_heap, arena, size, &options) == RF_OK &&
                    rf_handle_allocator_init(&adapter, &adapter_heap) == RF_OK;
  return made ? &adapter.base : nullptr;
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("handle", init);
  t.min_arena = 256;
  t.max_arena = 8192; // every call walks the list of blocks
  t.names_run_out = true;
  t.survives_damage = true;
  t.refuses_ended = true;
  return t;
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  size_t const kind = in.u8();
  the_step = 0;
  if (kind % 8 == 0) {
    rf_fuzz_target const t = target();
    rf_fuzz_run(&t, data + 1, size > 1 ? size - 1 : 0);
  } else if (kind % 8 == 1) {
    damage_handles(in);
  } else if (kind % 8 == 2) {
    alignas(16) static unsigned char arena[2048];
    if (init(nullptr, arena, sizeof arena) == nullptr) {
      std::abort();
    }
    bool const of_heap = in.u8() % 2 == 0;
    damage_record(&adapter.base, of_heap ? static_cast<void *>(&adapter_heap) : &adapter,
                  of_heap ? sizeof adapter_heap : sizeof adapter, in);
  } else {
    HandleProgram(in, kind % 8 >= 6).run();
  }
  return 0;
}
