// Damage to the table and the record of a heap of handles, and to headers of a guard over one; for the harness of
// handle.
#ifndef RINGFENCE_FUZZ_HANDLE_DAMAGE_H
#define RINGFENCE_FUZZ_HANDLE_DAMAGE_H

#include <ringfence/fuzz/reader.h>

namespace ringfence::fuzz {

// Makes a heap with a few blocks, overwrites bytes that it relies on, and makes every call. Check must find the damage
// to a table or record; no call may crash, hang or leave the arena.
void damage_handles(Reader &in);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_HANDLE_DAMAGE_H
