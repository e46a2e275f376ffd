/* Interception of dlopen: a file that is loaded again gets its place again (unloaded_places.h), and all are loaded
 * without RTLD_DEEPBIND, which would bind a library to the C library's malloc while the program frees with ours. The C
 * library takes the caller from the return address and searches that module's RUNPATH, so the way on is a jump, which C
 * cannot promise. Only in the library. */
#define _GNU_SOURCE
#include "checkers/dropin/runtime/state.h"
#include "intercept.h"
#include "unloaded_places.h"

#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__)

/* Called from the assembly below, which has both arguments on the stack. Returns the function to go on with. */
void *rf_dlopen_prepare(int *flags, const char *file) __attribute__((visibility("hidden"), used));

void *rf_dlopen_prepare(int *flags, const char *file) {
  if (!rf_process.options.deepbind) {
    *flags &= ~RTLD_DEEPBIND;
  }
  rf_unloaded_places_give(file);
  return rf_real("dlopen");
}

#define FUNCTION_BEGIN ".text\n.p2align 4\n.globl dlopen\n.type dlopen, %function\ndlopen:\n.cfi_startproc\n"
#define FUNCTION_END ".cfi_endproc\n.size dlopen, . - dlopen\n"

/* Both arguments are kept on the stack, where the flags may be changed. */
#if defined(__x86_64__)
__asm__(FUNCTION_BEGIN "pushq %rdi\n"
                       ".cfi_adjust_cfa_offset 8\n"
                       "pushq %rsi\n"
                       ".cfi_adjust_cfa_offset 8\n"
                       "movq %rdi, %rsi\n"
                       "movq %rsp, %rdi\n"
                       "subq $8, %rsp\n"
                       ".cfi_adjust_cfa_offset 8\n"
                       "call rf_dlopen_prepare\n"
                       "addq $8, %rsp\n"
                       ".cfi_adjust_cfa_offset -8\n"
                       "popq %rsi\n"
                       ".cfi_adjust_cfa_offset -8\n"
                       "popq %rdi\n"
                       ".cfi_adjust_cfa_offset -8\n"
                       "jmp *%rax\n" FUNCTION_END);
#elif defined(__i386__)
__asm__(FUNCTION_BEGIN "leal 8(%esp), %eax\n"
                       "movl 4(%esp), %ecx\n"
                       "subl $4, %esp\n"
                       ".cfi_adjust_cfa_offset 4\n"
                       "pushl %ecx\n"
                       ".cfi_adjust_cfa_offset 4\n"
                       "pushl %eax\n"
                       ".cfi_adjust_cfa_offset 4\n"
                       "call rf_dlopen_prepare\n"
                       "addl $12, %esp\n"
                       ".cfi_adjust_cfa_offset -12\n"
                       "jmp *%eax\n" FUNCTION_END);
#else
__asm__(FUNCTION_BEGIN "stp x29, x30, [sp, #-32]!\n"
                       ".cfi_adjust_cfa_offset 32\n"
                       ".cfi_rel_offset x29, 0\n"
                       ".cfi_rel_offset x30, 8\n"
                       "mov x29, sp\n"
                       "stp x0, x1, [sp, #16]\n"
                       "mov x1, x0\n"
                       "add x0, sp, #24\n"
                       "bl rf_dlopen_prepare\n"
                       "mov x16, x0\n"
                       "ldp x0, x1, [sp, #16]\n"
                       "ldp x29, x30, [sp], #32\n"
                       ".cfi_restore x29\n"
                       ".cfi_restore x30\n"
                       ".cfi_adjust_cfa_offset -32\n"
                       "br x16\n" FUNCTION_END);
#endif

#endif
