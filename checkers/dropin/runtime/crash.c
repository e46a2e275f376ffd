#define _GNU_SOURCE /* ucontext's registers */
#include "crash.h"

#include "checkers/dropin/heap/check.h"
#include "checkers/os/host.h"
#include "checkers/os/machine_context.h"
#include "checkers/os/memory_tags.h"
#include "checkers/os/stack_walk.h"
#include "checkers/page/page_store.h"
#include "checkers/shared/filled_pointer.h"
#include "lib/core/compiler.h"
#include "process_finding.h"
#include "unmapped.h"

#include <ringfence/block.h>
#include <signal.h>
#include <unistd.h>

#define NULL_REACH ((uintptr_t)64 * 1024)  /* of a member or an index from a NULL pointer; Linux maps nothing there */
#define BLOCK_REACH ((uintptr_t)64 * 1024) /* of a wild access from the block that it was meant for */
#define PAGE ((uintptr_t)4096)

#define STACK_BELOW ((uintptr_t)256)              /* a push and the red zone below the stack pointer */
#define STACK_ABOVE ((uintptr_t)64 * 1024 * 1024) /* of a frame that begins where there is no memory */

#define CWE_NULL 476
#define CWE_RECURSION 674

static bool bug_of(int number, rf_bug *bug) {
  switch (number) {
  case SIGSEGV:
    *bug = RF_BUG_SEGV;
    return true;
  case SIGBUS:
    *bug = RF_BUG_BUS;
    return true;
  case SIGILL:
    *bug = RF_BUG_ILL;
    return true;
  case SIGFPE:
    *bug = RF_BUG_FPE;
    return true;
  default:
    return false;
  }
}

/* ---- The place ---- */

/* A jump to where no code is has its caller's address on the stack, or in a register. */
static uintptr_t caller_of_jump(const ucontext_t *context) {
#if defined(__x86_64__) || defined(__i386__)
#if defined(__x86_64__)
  const uintptr_t *const top = (const uintptr_t *)context->uc_mcontext.gregs[REG_RSP];
#else
  const uintptr_t *const top = (const uintptr_t *)context->uc_mcontext.gregs[REG_ESP];
#endif
  return rf_host_readable(top, sizeof *top) ? *top : 0;
#elif defined(__aarch64__)
  return (uintptr_t)context->uc_mcontext.regs[30];
#else
  (void)context;
  return 0;
#endif
}

/* The live large block that lies there. Its memory is there, that of small ones may be in any state. */
static bool find_large(uintptr_t address, rf_view *view) {
  rf_span *const span = rf_span_holding(address);
  if (span == NULL || !span->large || rf_slot_state_of(span->slots) != RF_SLOT_LIVE || !rf_process.checked) {
    return false;
  }
  *view = rf_view_of(span, 0);
  return true;
}

static bool find_block_near(uintptr_t address, rf_view *view) {
  for (uintptr_t distance = 0; distance <= BLOCK_REACH && distance < address; distance += PAGE) {
    if (find_large(address - distance, view) || find_large(address + distance, view)) {
      return true;
    }
  }
  return false;
}

/* The block that lies there, live or freed, whose memory was taken: an access to it fails for no other reason. */
static bool find_taken(rf_finding *f) {
  rf_view view;
  if (rf_page_may_be((const void *)f->address)) {
    rf_page_tell_of((const void *)f->address, f);
  } else if (rf_process.checked && rf_view_at(f->address, &view) && f->address - (uintptr_t)view.payload < view.size) {
    rf_check_about(f, &view);
  }
  return f->block != 0;
}

/* ---- The finding ---- */

/* Just below the stack pointer, or within a frame that begins where there is no memory. `stack`: 0 where the
 * processor's registers are not known. */
static bool is_end_of_stack(uintptr_t address, uintptr_t stack) {
  const void *const top = (const void *)stack;
  return stack >= NULL_REACH && (address + STACK_BELOW - stack < STACK_BELOW ||
                                 (address - stack < STACK_ABOVE && !rf_host_readable(top, sizeof(uintptr_t))));
}

/* The system tells no address where the processor has none like it, and where it found no room on the stack for the
 * handler of another signal, which is no exception of the processor. */
static bool is_of_processor(const siginfo_t *info, const rf_machine_context *m) {
  enum { STACK_SEGMENT = 12, GENERAL_PROTECTION = 13 };
  return info->si_code != SI_KERNEL || m->exception == STACK_SEGMENT || m->exception == GENERAL_PROTECTION;
}

/* A pointer out of a freed block is another finding. */
static const char *fill_detail(rf_finding *f, const siginfo_t *info, const ucontext_t *context) {
  uintptr_t const unset = rf_unmapped_pointer_of(RF_PATTERN_NEW, info, context);
  uintptr_t const guard = rf_unmapped_pointer_of(RF_PATTERN_REDZONE, info, context);
  if (!rf_process.checked || (unset == 0 && guard == 0)) {
    return NULL;
  }
  f->address = unset != 0 ? unset : guard;
  return unset != 0 ? "SIGSEGV: " RF_READ_FROM_NEW : "SIGSEGV: " RF_READ_FROM_REDZONE;
}

static const char *causeless_detail(rf_finding *f, const siginfo_t *info, const rf_machine_context *m) {
  if (is_of_processor(info, m)) {
    return "SIGSEGV: the address is none that the processor has: a wild pointer";
  }
  f->cwe = CWE_RECURSION;
  return "SIGSEGV: the stack has no room for the handler of another signal: it is at its end, or handlers interrupt "
         "each other without an end";
}

static const char *segv_detail(rf_finding *f, const siginfo_t *info, const rf_machine_context *m, bool jump) {
  rf_view view;
  if (rf_memory_tags_is_fault(info->si_code)) {
    return rf_memory_tags_is_late_fault(info->si_code)
               ? "SIGSEGV: a pointer's tag was not the memory's, some time before: where, the processor does not say"
               : "SIGSEGV: the pointer's tag is not the memory's, and no block near has it: a stale or wild pointer";
  }
  if (jump) {
    return "SIGSEGV: the program jumped to where no code is";
  }
  if (info->si_code == SI_KERNEL) {
    return causeless_detail(f, info, m);
  }
  if (f->address < NULL_REACH) {
    f->cwe = CWE_NULL;
    return "SIGSEGV: the address is in the zero page: a NULL pointer, or a member or element of one";
  }
  if (is_end_of_stack(f->address, m->stack)) {
    f->cwe = CWE_RECURSION;
    return "SIGSEGV: the stack is at its end: recursion without an end, a large object on it, or a wrong stack pointer";
  }
  if (find_taken(f)) {
    return "SIGSEGV: the memory of the block was unmapped, or may not be used so: munmap, mremap, mmap, mprotect";
  }
  if (find_block_near(f->address, &view)) {
    rf_check_about(f, &view);
    return "SIGSEGV: a wild access near a block";
  }
  return info->si_code == SEGV_ACCERR ? "SIGSEGV: the memory at the address may not be used so"
                                      : "SIGSEGV: there is no memory at the address";
}

static const char *detail_of(rf_finding *f, const siginfo_t *info, const rf_machine_context *m, bool jump) {
  switch (f->bug) {
  case RF_BUG_SEGV:
    return segv_detail(f, info, m, jump);
  case RF_BUG_BUS:
    return info->si_code == BUS_ADRALN ? "SIGBUS: the address is not aligned"
           : rf_page_may_be((const void *)f->address)
               ? "SIGBUS: the memory at the address is for blocks, and has none"
               : "SIGBUS: nothing is behind the address: the mapped file is shorter";
  case RF_BUG_FPE:
    return info->si_code == FPE_INTDIV ? "SIGFPE: an integer was divided by zero" : "SIGFPE: wrong arithmetic";
  default:
    return "SIGILL: the processor has no such instruction";
  }
}

/* The error code of the registers is about page faults alone. */
static rf_access access_of(int number, const siginfo_t *info, const rf_machine_context *m, bool jump) {
  bool const page_fault = number == SIGSEGV && (info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR);
  return page_fault && !jump ? (rf_access)m->access : RF_ACCESS_UNKNOWN;
}

static void report(int number, rf_bug bug, const siginfo_t *info, const ucontext_t *context) {
  rf_finding f;
  rf_machine_context const m = rf_machine_context_of(context);
  bool const jump = number == SIGSEGV && (m.pc < RF_PC_LEAST || m.pc == (uintptr_t)info->si_addr);
  rf_origin const origin = {NULL, jump ? caller_of_jump(context) : m.pc, (const void *)m.frame};
  const void *const address = info->si_code == SI_KERNEL ? NULL : info->si_addr;
  rf_process_finding_begin(&f, bug, access_of(number, info, &m, jump), address, &origin);
  f.at_access = true;
  if (!jump) {
    rf_finding_at_instruction(&f);
  }
  const char *const filled = number == SIGSEGV && is_of_processor(info, &m) ? fill_detail(&f, info, context) : NULL;
  f.detail = filled != NULL ? filled : detail_of(&f, info, &m, jump);
  rf_process_report_dying(&f);
}

RF_COLD void rf_crash_report(int number, const void *info, const void *context) {
  rf_bug bug;
  if (rf_process_now() == rf_process.id && bug_of(number, &bug)) {
    report(number, bug, info, context);
  }
}
