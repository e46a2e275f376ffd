#include <ringfence/finding.h>

#include <ringfence/port.h>
#include <ringfence/system.h>
#include <string.h>

#include "checkers/os/host.h"
#include "fnv.h"
#include "lib/core/compiler.h"

typedef struct bug_facts {
  const char *name;
  unsigned cwe;
  unsigned cwe_read; /* where a read has one of its own */
} bug_facts;

static const bug_facts facts[RF_BUG_COUNT] = {
    [RF_BUG_BUFFER_OVERFLOW] = {"heap-buffer-overflow", 122, 126},
    [RF_BUG_BUFFER_UNDERFLOW] = {"heap-buffer-underflow", 124, 127},
    [RF_BUG_USE_AFTER_FREE] = {"heap-use-after-free", 416, 416},
    [RF_BUG_DOUBLE_FREE] = {"double-free", 415, 415},
    [RF_BUG_BAD_FREE] = {"bad-free", 590, 590},
    [RF_BUG_DEALLOC_MISMATCH] = {"alloc-dealloc-mismatch", 762, 762},
    [RF_BUG_SIZE_MISMATCH] = {"new-delete-type-mismatch", 762, 762},
    [RF_BUG_LEAK] = {"memory-leak", 401, 401},
    [RF_BUG_METADATA] = {"metadata-corruption", 123, 123},
    [RF_BUG_SIZE_TOO_BIG] = {"allocation-size-too-big", 190, 190},
    [RF_BUG_CALLOC_OVERFLOW] = {"calloc-overflow", 190, 190},
    [RF_BUG_BAD_ALIGNMENT] = {"invalid-allocation-alignment", 190, 190},
    [RF_BUG_ENDED] = {"use-after-deinit", 672, 672},
    [RF_BUG_STALE_HANDLE] = {"stale-handle", 825, 825},
    [RF_BUG_BAD_HANDLE] = {"bad-handle", 763, 763},
    [RF_BUG_USE_AFTER_MOVE] = {"use-after-move", 825, 825},
    [RF_BUG_UNLOCK] = {"unlock-without-lock", 832, 832},
    [RF_BUG_FREE_LOCKED] = {"free-while-locked", 826, 826},
    [RF_BUG_REENTRY] = {"reentrant-call", 1265, 1265},
    [RF_BUG_BAD_USABLE_SIZE] = {"bad-malloc_usable_size", 687, 687},
    [RF_BUG_SEGV] = {"SEGV", 119, 119},
    [RF_BUG_BUS] = {"BUS", 119, 119},
    [RF_BUG_ILL] = {"ILL", 758, 758},
    [RF_BUG_FPE] = {"FPE", 369, 369},
    [RF_BUG_STOPPED_OVERFLOW] = {"buffer-overflow", 120, 120},
    [RF_BUG_STACK_OVERFLOW] = {"stack-buffer-overflow", 121, 126},
};

static bool known(rf_bug bug) {
  return (unsigned)bug < RF_BUG_COUNT;
}

RF_COLD const char *rf_bug_name(rf_bug bug) {
  return known(bug) ? facts[bug].name : "unknown-bug";
}

RF_COLD bool rf_bug_is_crash(rf_bug bug) {
  return bug == RF_BUG_SEGV || bug == RF_BUG_BUS || bug == RF_BUG_ILL || bug == RF_BUG_FPE;
}

RF_COLD bool rf_bug_from_name(const char *name, size_t length, rf_bug *bug) {
  for (unsigned i = 0; i < RF_BUG_COUNT; i++) {
    if (strlen(facts[i].name) == length && memcmp(facts[i].name, name, length) == 0) {
      *bug = (rf_bug)i;
      return true;
    }
  }
  return false;
}

RF_COLD unsigned rf_bug_cwe(rf_bug bug, rf_access access) {
  if (!known(bug)) {
    return 0;
  }
  return access == RF_ACCESS_READ ? facts[bug].cwe_read : facts[bug].cwe;
}

RF_COLD char rf_byte_letter(unsigned byte_class) {
  static const char letters[] = {
      [RF_BYTE_OTHER] = '.', [RF_BYTE_HEADER] = 'h', [RF_BYTE_GUARD] = 'g',    [RF_BYTE_USER] = 'u',
      [RF_BYTE_FREED] = 'f', [RF_BYTE_BAD] = '!',    [RF_BYTE_LEFT_OUT] = '?',
  };
  if (byte_class >= sizeof letters) {
    return '?';
  }
  return letters[byte_class];
}

RF_COLD const char *rf_finding_relation(const rf_finding *f, size_t *distance) {
  if (f->offset < 0) {
    *distance = (size_t)0 - (size_t)f->offset;
    return "before";
  }
  if ((size_t)f->offset < f->size) {
    *distance = (size_t)f->offset;
    return "inside";
  }
  *distance = (size_t)f->offset - f->size;
  return "after";
}

static bool is_known(const rf_trace *trace) {
  return trace->site != NULL || trace->depth != 0;
}

/* At the end of a process the call is nobody's. */
RF_COLD const rf_trace *rf_finding_place(const rf_finding *f) {
  bool const has_allocation = is_known(&f->allocated);
  if (f->at_access && (is_known(&f->found) || !has_allocation)) {
    return &f->found;
  }
  switch (f->bug) {
  case RF_BUG_BUFFER_OVERFLOW:
  case RF_BUG_BUFFER_UNDERFLOW:
  case RF_BUG_USE_AFTER_FREE:
  case RF_BUG_USE_AFTER_MOVE:
  case RF_BUG_LEAK:
  case RF_BUG_METADATA:
    return has_allocation ? &f->allocated : &f->found;
  default:
    return &f->found;
  }
}

/* ---- Key: a checksum of the fields by which two bugs differ ---- */

#define KEY_FRAMES 3U

static uint64_t add_trace(uint64_t key, const rf_trace *trace) {
  unsigned const frames = trace->depth < KEY_FRAMES ? trace->depth : KEY_FRAMES;
  if (trace->site != NULL) {
    key = rf_fnv_text(key, trace->site->file);
    key = rf_fnv_bytes(key, &trace->site->line, sizeof trace->site->line);
  }
  return rf_fnv_bytes(key, trace->frames, frames * sizeof trace->frames[0]);
}

RF_COLD uint64_t rf_finding_key(const rf_finding *f) {
  uint64_t key = rf_fnv_text(RF_FNV_START, rf_bug_name(f->bug));
  key = rf_fnv_text(key, f->allocator);
  key = add_trace(key, &f->found);
  return add_trace(key, &f->allocated);
}

/* ---- Reporting ---- */

static void complete(rf_reporter *reporter, rf_finding *f) {
  f->sequence = ++reporter->sequence;
  f->time_ns = rf_host_now_ns();
  f->process = rf_host_process();
  if (f->found.thread == 0) {
    f->found.thread = rf_port_thread_id();
  }
}

#if RF_HAS_SYSTEM
/* Where the call that led to the finding goes on in the program, 0 where that is not known, and where debuggers stop at
 * a finding, after its report: tools/gdb/ringfence.py. */
extern uintptr_t rf_found_caller;
uintptr_t rf_found_caller;
void __ringfence_found(const rf_finding *f);
__attribute__((noinline)) void __ringfence_found(const rf_finding *f) {
  __asm__ volatile("" : : "r"(f) : "memory");
}

/* Suppressed ones are not counted. */
static void tell_debugger(const rf_reporter *reporter, const rf_finding *f) {
  if (reporter->sequence == f->sequence) {
    rf_found_caller = f->found.depth != 0 ? f->found.frames[0] : 0;
    __ringfence_found(f);
  }
}
#else
static void tell_debugger(const rf_reporter *reporter, const rf_finding *f) {
  (void)reporter;
  (void)f;
}
#endif

RF_COLD void rf_report(rf_reporter *reporter, rf_finding *f) {
  bool const locked = rf_host_report_lock();
  complete(reporter, f);
  rf_action const action = reporter->report(reporter, f);
  tell_debugger(reporter, f);
  if (action == RF_ACTION_HALT) { /* the lock is kept: no finding of another thread may follow */
    if (reporter->exitcode == RF_EXITCODE_ABORT) {
      rf_host_abort();
    }
    rf_host_exit(reporter->exitcode);
  }
  if (locked) {
    rf_host_report_unlock();
  }
}
