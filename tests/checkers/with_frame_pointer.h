// Calls of functions with any value in the register that code without frame pointers uses for something else.
#ifndef RINGFENCE_TESTS_CHECKERS_WITH_FRAME_POINTER_H
#define RINGFENCE_TESTS_CHECKERS_WITH_FRAME_POINTER_H

#if defined(__x86_64__)

#include <cstdint>

// call(a, b, c, d), for functions of up to four integers and pointers.
extern "C" uintptr_t with_frame_pointer(const void *value, void (*call)(), uintptr_t a, uintptr_t b, uintptr_t c,
                                        uintptr_t d);
// Reads the byte at its argument, and uses no register for frames.
extern "C" void touch_byte();

__asm__(".text\n"
        ".globl with_frame_pointer\n"
        ".type with_frame_pointer, @function\n"
        "with_frame_pointer:\n"
        ".cfi_startproc\n"
        "pushq %rbp\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset 6, -16\n"
        "movq %rdi, %rbp\n"
        "movq %rsi, %rax\n"
        "movq %rdx, %rdi\n"
        "movq %rcx, %rsi\n"
        "movq %r8, %rdx\n"
        "movq %r9, %rcx\n"
        "call *%rax\n"
        "popq %rbp\n"
        ".cfi_def_cfa_offset 8\n"
        ".cfi_restore 6\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size with_frame_pointer, . - with_frame_pointer\n"
        ".globl touch_byte\n"
        ".type touch_byte, @function\n"
        "touch_byte:\n"
        ".cfi_startproc\n"
        "movb (%rdi), %al\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size touch_byte, . - touch_byte\n");

#endif

#endif // RINGFENCE_TESTS_CHECKERS_WITH_FRAME_POINTER_H
