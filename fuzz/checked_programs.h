// Programs over what one call has wrapped, for the harness of checked: silent until each commits one error, which must
// be one finding. All take their options from the input.
#ifndef RINGFENCE_FUZZ_CHECKED_PROGRAMS_H
#define RINGFENCE_FUZZ_CHECKED_PROGRAMS_H

#include <ringfence/checked.h>
#include <ringfence/fuzz/reader.h>

#include <cstddef>
#include <string>

namespace ringfence::fuzz {

void run_checked_heap(Reader &in);
void run_checked_handles(Reader &in);
void run_checked_pools(Reader &in);

// ---- checked_options.cc ----

constexpr size_t kCheckedArena = 64 * 1024;

// The log that all options name, also those of the process.
const std::string &checked_log();

// Any options that neither end the process nor write anywhere else.
rf_options some_options(Reader &in);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_CHECKED_PROGRAMS_H
