// The end of a program on a board.
#ifndef RINGFENCE_TESTS_BOARD_RUN_H
#define RINGFENCE_TESTS_BOARD_RUN_H

#include <string>

namespace ringfence::board {

void say(const std::string &text);

// From here on a failure is a success: the last check is of an allocator that is broken.
void must_fail();

// Ends the program.
[[noreturn]] void failed();

} // namespace ringfence::board

#endif // RINGFENCE_TESTS_BOARD_RUN_H
