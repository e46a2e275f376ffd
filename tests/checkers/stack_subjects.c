/* Compiled several times; WAY is the suffix of the table's name. */
#include "tests/checkers/stack_subjects.h"

#include <alloca.h>
#include <string.h>

#define USE(p) __asm__ volatile("" : : "r"(p) : "memory")
#define SUBJECT static __attribute__((noinline)) void

SUBJECT plain(const stack_step *step) {
  step[1].run(step + 1);
  USE(step);
}

SUBJECT with_registers(const stack_step *step) {
  size_t a = step->size;
  size_t b = a * 3;
  size_t c = a ^ 5;
  size_t d = a + 7;
  size_t e = a * 9;
  __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
  step[1].run(step + 1);
  USE(a + b + c + d + e);
}

SUBJECT with_alloca(const stack_step *step) {
  char *const room = alloca(step->size + 1);
  memset(room, 1, step->size + 1);
  USE(room);
  step[1].run(step + 1);
  USE(room);
}

SUBJECT with_big_frame(const stack_step *step) {
  char room[100000];
  room[0] = 1;
  USE(room);
  step[1].run(step + 1);
  USE(room);
}

SUBJECT aligned(const stack_step *step) {
  _Alignas(64) char room[128];
  room[0] = 1;
  USE(room);
  step[1].run(step + 1);
  USE(room);
}

SUBJECT with_many_arguments(const stack_step *step, long a, long b, long c, long d, long e, long f, long g, long h) {
  step[1].run(step + 1);
  USE(a + b + c + d + e + f + g + h);
}

SUBJECT calls_with_many_arguments(const stack_step *step) {
  with_many_arguments(step, 1, 2, 3, 4, 5, 6, 7, 8);
  USE(step);
}

/* The call is the last instruction: it returns to where another function begins. */
SUBJECT ends_in_a_call(const stack_step *step) {
  step[1].run(step + 1);
  __builtin_unreachable();
}

#define NAME_OF(way) stack_subjects_##way
#define NAME(way) NAME_OF(way)

const stack_subject NAME(WAY)[STACK_SUBJECTS] = {{"plain", plain},
                                                 {"with_registers", with_registers},
                                                 {"with_alloca", with_alloca},
                                                 {"with_big_frame", with_big_frame},
                                                 {"aligned", aligned},
                                                 {"calls_with_many_arguments", calls_with_many_arguments},
                                                 {"ends_in_a_call", ends_in_a_call}};
