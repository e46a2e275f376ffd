// Pointers that every allocator must refuse, for the interpreter's misuse.
#ifndef RINGFENCE_FUZZ_BAD_POINTER_H
#define RINGFENCE_FUZZ_BAD_POINTER_H

#include <ringfence/fuzz/memory.h>
#include <ringfence/fuzz/reader.h>
#include <ringfence/fuzz/shadow.h>

#include <optional>
#include <string>

namespace ringfence::fuzz {

struct BadPointer {
  void *ptr;
  std::string text;  // as an expression of C, with its kind
  bool may_be_start; // of a block that is free already: RF_ERR_NOT_ALLOCATED is right, too
};

// One that the input chooses, of the kinds that this target refuses; nothing where none of that kind exists now.
std::optional<BadPointer> choose_bad_pointer(Reader &reader, const rf_fuzz_target &target, Shadow &shadow,
                                             const Memory &memory);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_BAD_POINTER_H
