// Parts of what a process tells a collector, and is told by it, each against a second reading.
#ifndef RINGFENCE_FUZZ_COLLECTOR_PARTS_H
#define RINGFENCE_FUZZ_COLLECTOR_PARTS_H

#include <ringfence/fuzz/reader.h>

namespace ringfence::fuzz {

// Whether files and segments are made and read: of three inputs in sixteen, which their bytes choose, while fuzzing.
extern bool files_are_due;

// The sender's fields are JSON with the options given, or the environment's, and each label.
void check_identity(Reader &in);

// A policy from memory, a file and a segment gives its rules and sites for this process, or, damaged, nothing.
void check_policy(Reader &in);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_COLLECTOR_PARTS_H
