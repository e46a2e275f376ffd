// Pointers that no allocator may free: the misuse that the interpreter tries.
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
  std::string text;  // as an expression of C, with a word on what it is
  bool may_be_start; // of a block that is free already, so that RF_ERR_NOT_ALLOCATED is right, too
};

// One that the input asks for, of the kinds that this target refuses; nothing where there is none of that kind now.
std::optional<BadPointer> choose_bad_pointer(Reader &reader, const rf_fuzz_target &target, Shadow &shadow,
                                             const Memory &memory);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_BAD_POINTER_H
