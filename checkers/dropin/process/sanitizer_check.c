/* If a sanitizer's runtime is linked into the program itself (clang's default), its malloc comes before ours in every
 * search: a line says so. If the runtime is a library (gcc's default) ours would come first, and AddressSanitizer then
 * ends the program. It asks for its default options before it looks for that: then the program is started anew without
 * us.
 *
 * Linked into the same program both would crash, as the sanitizer's runtime allocates before it or we could begin: the
 * first request ends the program with a line that says why. */
#define _GNU_SOURCE
#include "sanitizer_check.h"

#include "checkers/dropin/malloc/malloc_impl.h"
#include "checkers/dropin/runtime/init.h"
#include "lib/core/compiler.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Weak, and not looked up by dlsym: a search that fails leaves an error behind, and the next one frees it. A program
 * that wraps free, and looks up ours when it is first called, would recurse for ever. */
#pragma weak __asan_init
#pragma weak __hwasan_init
#pragma weak __msan_init
#pragma weak __tsan_init
void __asan_init(void);
void __hwasan_init(void);
void __msan_init(void);
void __tsan_init(void);

RF_COLD static void say(const char *sanitizer, const char *rest) {
  const char *const parts[] = {"ringfence: this program is built with ", sanitizer, rest};
  char line[160];
  size_t length = 0;
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    for (const volatile char *at = parts[i]; *at != '\0' && length < sizeof line; at++) {
      line[length++] = *at;
    }
  }
  (void)syscall(SYS_write, STDERR_FILENO, line, length);
}

const char *rf_sanitizer_name(void) {
  static const struct {
    void (*init)(void);
    const char *name;
  } sanitizers[] = {
      {__asan_init, "AddressSanitizer"},
      {__hwasan_init, "HWAddressSanitizer"},
      {__msan_init, "MemorySanitizer"},
  };
  for (size_t i = 0; i < sizeof sanitizers / sizeof sanitizers[0]; i++) {
    if (sanitizers[i].init != NULL) {
      return sanitizers[i].name;
    }
  }
  return NULL;
}

static const char steps_aside[] = ", which has a malloc of its own: it is not checked by Ringfence\n";

const char *rf_sanitizer_check(void) {
  const char *const name = rf_sanitizer_name();
  if (name != NULL) {
    say(name, steps_aside);
  }
  return name;
}

#if !RF_DROPIN_LIBRARY

/* Linked in: a program that gets so far has none. */
bool rf_sanitizer_leave(void) {
  return false;
}

void rf_process_refuse(void) {
  const char *const name = __tsan_init != NULL ? "ThreadSanitizer" : rf_sanitizer_name();
  if (name != NULL) {
    say(name, " and linked with Ringfence's malloc: only one of them can be in it\n");
    (void)syscall(SYS_exit_group, 2);
  }
}

#else

/* ---- Starting anew ----
 *
 * AddressSanitizer is only half awake here: what it intercepts of the C library (read, write, strlen …) must not be
 * called. */

#define MOST_BYTES ((size_t)512 * 1024) /* of arguments or environment */
#define MOST_STRINGS (MOST_BYTES / 32)

typedef struct strings {
  char text[MOST_BYTES];
  char *each[MOST_STRINGS + 1];
} strings;

static size_t length_of(const volatile char *text) {
  size_t n = 0;
  while (text[n] != '\0') {
    n++;
  }
  return n;
}

static bool equal(const volatile char *a, const volatile char *b, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (a[i] != b[i]) {
      return false;
    }
  }
  return true;
}

/* The strings of a file in /proc/self. False where they do not fit. */
RF_COLD static bool get_strings(const char *path, strings *out) {
  long const fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  size_t length = 0;
  size_t count = 0;
  long got = 0;
  while (fd >= 0 && length < MOST_BYTES - 1 &&
         (got = syscall(SYS_read, fd, out->text + length, MOST_BYTES - 1 - length)) > 0) {
    length += (size_t)got;
  }
  (void)syscall(SYS_close, fd);
  for (size_t at = 0; at < length && count < MOST_STRINGS; at += length_of(out->text + at) + 1) {
    out->each[count++] = out->text + at;
  }
  return got == 0 && length < MOST_BYTES - 1 && count > 0 && count < MOST_STRINGS;
}

static bool is_separator(char c) {
  return c == ' ' || c == ':';
}

/* Takes the library named `own` out of a list of libraries, in place. True where it was there. */
static bool take_out(volatile char *list, const char *own) {
  size_t const size = length_of(own);
  bool found = false;
  volatile char *to = list;
  for (volatile char *at = list; *at != '\0';) {
    size_t const gap = is_separator(*at) ? 1 : 0;
    size_t length = gap;
    while (at[length] != '\0' && !is_separator(at[length])) {
      length++;
    }
    bool const ours = length - gap >= size && equal(at + length - size, own, size) &&
                      (length - gap == size || at[length - size - 1] == '/');
    found = found || ours;
    for (size_t i = 0; i < length && !ours; i++) {
      *to++ = at[i];
    }
    at += length;
  }
  *to = '\0';
  return found;
}

static const char *own_name(void) {
  Dl_info self;
  const char *name = "";
  if (dladdr((void *)(uintptr_t)&rf_sanitizer_check, &self) != 0 && self.dli_fname != NULL) {
    name = self.dli_fname;
    for (const volatile char *at = self.dli_fname; *at != '\0'; at++) {
      name = *at == '/' ? (const char *)(uintptr_t)at + 1 : name;
    }
  }
  return name;
}

/* False where the library did not come in by LD_PRELOAD. */
RF_COLD static bool leave(char **environment) {
  static const char variable[] = "LD_PRELOAD=";
  size_t const size = sizeof variable - 1;
  for (char **e = environment; *e != NULL; e++) {
    if (length_of(*e) > size && equal(*e, variable, size)) {
      return take_out(*e + size, own_name());
    }
  }
  return false;
}

/* The program anew, without the library; returns where that cannot be: true if the line is out all the same. */
RF_COLD static bool start_anew(const char *sanitizer) {
  static strings arguments;
  static strings environment;
  if (get_strings("/proc/self/cmdline", &arguments) && get_strings("/proc/self/environ", &environment) &&
      leave(environment.each)) {
    say(sanitizer, steps_aside);
    (void)syscall(SYS_execve, "/proc/self/exe", arguments.each, environment.each);
    return true;
  }
  return false;
}

RF_COLD static void leave_process(const char *sanitizer) {
  if (!start_anew(sanitizer)) {
    say(sanitizer, steps_aside);
  }
}

/* AddressSanitizer calls this, unless the program has its own, before anything of the program runs. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void) {
  (void)start_anew("AddressSanitizer");
  return "verify_asan_link_order=0"; /* better both than none */
}

/* ---- Runtimes that must not be called before their own beginning ----
 *
 * ThreadSanitizer's functions in place of the C library's (clock_gettime) crash before it has begun, or begin it, and
 * then allocate. gcc's, linked statically, does not even export its name: the program has the C library's functions
 * and malloc. */

#define LIBRARY_MOST ((uintptr_t)64 << 20) /* bytes of a C library */

static bool is_of_libc(uintptr_t function) {
  uintptr_t const libc = (uintptr_t)__errno_location; /* nobody replaces it */
  return function - libc + LIBRARY_MOST < 2 * LIBRARY_MOST;
}

static bool has_runtime_without_name(void) {
  return rf_malloc_is_replaced() && !is_of_libc((uintptr_t)clock_gettime) && !is_of_libc((uintptr_t)process_vm_writev);
}

bool rf_sanitizer_leave(void) {
  if (__tsan_init != NULL) {
    leave_process("ThreadSanitizer");
    return true;
  }
  if (rf_sanitizer_name() == NULL && has_runtime_without_name()) {
    leave_process("a sanitizer");
    return true;
  }
  return false;
}

#endif
