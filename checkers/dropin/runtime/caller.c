#define _GNU_SOURCE
#include "caller.h"

#include "checkers/dropin/os/real.h"
#include "checkers/os/stack_rules.h"

#include <link.h>
#include <unwind.h>

/* How often a process unwinds: together some tens of milliseconds. */
#define MOST_UNWINDS 20000U

rf_runtime rf_runtimes[RF_RUNTIMES];

static unsigned unwinds; /* accessed atomically */

/* ---- Where the libraries are ---- */

typedef struct search {
  uintptr_t inside;
  rf_runtime *out;
} search;

/* The program itself is none, though a library may be linked into it. */
static int visit_module(struct dl_phdr_info *info, size_t size, void *context) {
  const search *const s = context;
  (void)size;
  for (size_t i = 0; i < info->dlpi_phnum && info->dlpi_name[0] != '\0'; i++) {
    const ElfW(Phdr) *const p = &info->dlpi_phdr[i];
    uintptr_t const start = info->dlpi_addr + p->p_vaddr;
    if (p->p_type == PT_LOAD && (p->p_flags & PF_X) != 0 && s->inside - start < p->p_memsz) {
      *s->out = (rf_runtime){start, p->p_memsz};
      return 1;
    }
  }
  return 0;
}

void rf_runtime_find(const char *function, rf_runtime *out) {
  search s = {(uintptr_t)rf_real(function), out};
  if (s.inside != 0) {
    (void)dl_iterate_phdr(visit_module, &s);
  }
}

/* Defined by the C++ library. */
#pragma weak _ZSt17__throw_bad_allocv
void _ZSt17__throw_bad_allocv(void);

void rf_caller_init(void) {
  if (RF_STACK_RULES) {
    return;
  }
  rf_runtime_find("getline", &rf_runtimes[0]);
  if (_ZSt17__throw_bad_allocv != NULL) { /* a search that fails leaves an error behind: see sanitizer_check.c */
    rf_runtime_find("_ZSt17__throw_bad_allocv", &rf_runtimes[1]);
  }
}

/* ---- Unwinding ---- */

#if defined(__x86_64__)
#define FRAME_POINTER 6
#elif defined(__i386__)
#define FRAME_POINTER 5
#elif defined(__aarch64__)
#define FRAME_POINTER 29
#endif

typedef struct unwinding {
  uintptr_t from; /* the first frame wanted returns to here */
  rf_caller_trace *called;
  unsigned count; /* links made, the one before the first frame included; 0: not there yet */
  bool arrived;
} unwinding;

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *argument) {
  unwinding *const u = argument;
  uintptr_t const pc = (uintptr_t)_Unwind_GetIP(context);
  if (u->count == 0 && pc != u->from) {
    return _URC_NO_REASON;
  }
  if (u->count > RF_CALLER_FRAMES) {
    return _URC_END_OF_STACK;
  }
  rf_link *const link = &u->called->links[u->count];
  link->returns_to = pc;
  link->next = (uintptr_t)(link + 1);
  u->count++;
  if (rf_is_runtime(pc)) {
    return _URC_NO_REASON;
  }
  u->arrived = true;
#if defined(FRAME_POINTER)
  link->next = (uintptr_t)_Unwind_GetGR(context, FRAME_POINTER);
#else
  link->next = 0;
#endif
  return _URC_END_OF_STACK;
}

const rf_origin *rf_caller_unwind(const rf_origin *origin, rf_caller_trace *called) {
  unwinding u = {origin->caller, called, 0, false};
  if (__atomic_load_n(&unwinds, __ATOMIC_RELAXED) >= MOST_UNWINDS) {
    return origin;
  }
  __atomic_fetch_add(&unwinds, 1, __ATOMIC_RELAXED);
  (void)_Unwind_Backtrace(step, &u);
  if (!u.arrived) {
    return origin;
  }
  called->origin = (rf_origin){NULL, origin->caller, called->links};
  return &called->origin;
}
