#define _GNU_SOURCE
#include "libc_abort.h"

#include "caller.h"
#include "checkers/dropin/os/libc.h"
#include "checkers/os/host.h"
#include "checkers/os/machine_context.h"
#include "lib/core/compiler.h"
#include "process_finding.h"

#include <string.h>
#include <unistd.h>
#include <unwind.h>

#define LIBC_FRAMES 3U /* of an abort of malloc, at least */

/* glibc keeps the message of its last abort for debuggers, in memory of its own, as this. */
typedef struct abort_message {
  unsigned size; /* of the whole mapping */
  char text[];
} abort_message;

static abort_message *const *message; /* NULL: there is no such thing */
static rf_runtime libc;
static bool told;

void rf_libc_abort_init(void) {
  rf_runtime_find("abort", &libc);
  message = (abort_message *const *)rf_libc_private("__abort_msg");
  told = false;
}

#define STREAM "Fatal error: glibc detected an invalid stdio handle"
#define OF_COMPILER "*** "

/* The first that a message begins with counts. glibc 2.26 to 2.41: its malloc, its streams, whose table of functions is
 * not one of its own where a stream was closed before, and those that compilers place. */
static const struct {
  const char *begin;
  rf_bug bug;
} messages[] = {
    {"free(): double free detected", RF_BUG_DOUBLE_FREE},
    {"double free or corruption (out)", RF_BUG_METADATA},
    {"double free or corruption", RF_BUG_DOUBLE_FREE},
    {"free(): invalid pointer", RF_BUG_BAD_FREE},
    {"munmap_chunk(): invalid pointer", RF_BUG_BAD_FREE},
    {"mremap_chunk(): invalid pointer", RF_BUG_BAD_FREE},
    {"realloc(): invalid pointer", RF_BUG_BAD_FREE},
    {"free(): ", RF_BUG_METADATA},
    {"realloc(): ", RF_BUG_METADATA},
    {"malloc(): ", RF_BUG_METADATA},
    {"malloc_consolidate(): ", RF_BUG_METADATA},
    {"tcache_thread_shutdown(): ", RF_BUG_METADATA},
    {"corrupted double-linked list", RF_BUG_METADATA},
    {"corrupted size vs. prev_size", RF_BUG_METADATA},
    {"invalid fastbin entry", RF_BUG_METADATA},
    {"break adjusted to free malloc space", RF_BUG_METADATA},
    {STREAM, RF_BUG_USE_AFTER_FREE},
    {OF_COMPILER "buffer overflow detected ***", RF_BUG_STOPPED_OVERFLOW},
    {OF_COMPILER "stack smashing detected ***", RF_BUG_STACK_OVERFLOW},
};

static bool begins(const char *text, const char *with) {
  return strncmp(text, with, strlen(with)) == 0;
}

static bool bug_of(const char *text, rf_bug *bug) {
  for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
    if (begins(text, messages[i].begin)) {
      *bug = messages[i].bug;
      return true;
    }
  }
  return false;
}

/* Those of malloc do not name it. */
static const char *speaker_of(const char *text) {
  return begins(text, STREAM) || begins(text, OF_COMPILER) ? "the C library says: " : "the C library's malloc says: ";
}

/* Without the line's end. */
static const char *said(const char *text) {
  static char detail[128];
  const char *const begin = speaker_of(text);
  size_t length = strlen(begin);
  memcpy(detail, begin, length);
  while (*text != '\0' && *text != '\n' && length < sizeof detail - 1) {
    detail[length++] = *text++;
  }
  detail[length] = '\0';
  return detail;
}

/* ---- The place: the program's call, by the unwind tables ---- */

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

static bool is_libcs(uintptr_t pc) {
  return pc - libc.start < libc.size;
}

/* Linked in, ours cannot be told from the program's. */
static bool is_ours(uintptr_t pc) {
  bool const own = pc - (uintptr_t)__ehdr_start < (uintptr_t)etext - (uintptr_t)__ehdr_start;
  return own && rf_process.library;
}

typedef struct walk {
  rf_trace *out;
  unsigned passed; /* frames of the C library */
} walk;

/* Before the program's call come this handler, perhaps the kernel's page for system calls, and the C library. */
static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *argument) {
  walk *const w = argument;
  uintptr_t const pc = (uintptr_t)_Unwind_GetIP(context);
  if (pc == 0) {
    return _URC_END_OF_STACK;
  }
  if (w->out->depth == 0 && (w->passed < LIBC_FRAMES || is_libcs(pc) || is_ours(pc))) {
    w->passed += is_libcs(pc) ? 1 : 0;
    return _URC_NO_REASON;
  }
  w->out->frames[w->out->depth++] = pc;
  return w->out->depth == RF_TRACE_DEPTH ? _URC_END_OF_STACK : _URC_NO_REASON;
}

/* The pointer is not known: the C library does not tell it, and to note it at each free would cost more than all the
 * rest of handing on. */
static void report(rf_bug bug, const char *text, const void *context) {
  rf_machine_context const m = rf_machine_context_of(context);
  rf_origin const here = {NULL, m.pc, (const void *)m.frame};
  rf_trace place = {.depth = 0};
  walk w = {&place, 0};
  rf_finding f;
  rf_process_finding_begin(&f, bug, RF_ACCESS_UNKNOWN, NULL, &here);
  (void)_Unwind_Backtrace(step, &w);
  if (place.depth != 0) {
    memcpy(f.found.frames, place.frames, place.depth * sizeof place.frames[0]);
    f.found.depth = place.depth;
  }
  f.detail = said(text);
  rf_process_report_dying(&f);
}

RF_COLD void rf_libc_abort_is_told(void) {
  __atomic_store_n(&told, true, __ATOMIC_RELAXED);
}

RF_COLD void rf_libc_abort_report(const void *context) {
  rf_bug bug;
  const abort_message *const last = message != NULL ? *message : NULL;
  if (last == NULL || rf_process_now() != rf_process.id || !bug_of(last->text, &bug)) {
    return;
  }
  if (begins(last->text, STREAM) && rf_process.findings != 0) {
    return; /* what was found before, such as the access to the freed stream, explains it */
  }
  if (begins(last->text, OF_COMPILER) && __atomic_load_n(&told, __ATOMIC_RELAXED)) {
    return;
  }
  report(bug, last->text, context);
}

#if defined(__x86_64__) || defined(__i386__)

RF_COLD bool rf_libc_abort_is_its_fault(const void *context) {
  enum { HLT = 0xF4 };
  uintptr_t const pc = rf_machine_context_of(context).pc;
  const void *const code = (const void *)pc;
  return is_libcs(pc) && rf_host_readable(code, 1) && *(const unsigned char *)code == HLT;
}

#else

RF_COLD bool rf_libc_abort_is_its_fault(const void *context) {
  (void)context;
  return false;
}

#endif
