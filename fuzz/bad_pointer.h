// Pointers that every allocator must refuse, for the interpreter's misuse.
#ifndef RINGFENCE_FUZZ_BAD_POINTER_H
#define RINGFENCE_FUZZ_BAD_POINTER_H

#include <ringfence/fuzz/memory.h>
#include <ringfence/fuzz/reader.h>
#include <ringfence/fuzz/shadow.h>

#include <optional>

namespace ringfence::fuzz {

struct BadPointer {
  void *ptr;
  bool may_be_start; // of a block that is free already: RF_ERR_NOT_ALLOCATED is right, too

  // As an expression of C, printed by RF_FUZZ_BAD_POINTER from RF_FUZZ_BAD_POINTER_PARTS.
  const char *base;
  unsigned id; // of the block `base`; 0: none
  ptrdiff_t offset;
  const char *kind;
};

#define RF_FUZZ_BAD_POINTER "%s%.0u %+td /* %s */"
#define RF_FUZZ_BAD_POINTER_PARTS(bad) (bad).base, (bad).id, (bad).offset, (bad).kind

// One that the input chooses, of the kinds that this target refuses; nothing where none of that kind exists now.
std::optional<BadPointer> choose_bad_pointer(Reader &reader, const rf_fuzz_target &target, Shadow &shadow,
                                             const Memory &memory);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_BAD_POINTER_H
