#define _GNU_SOURCE
#include "libc.h"

#include "real.h"

#include <link.h>

#pragma weak dladdr1 /* a static program has no loader to ask */

int __sigaction(int number, const struct sigaction *action, struct sigaction *old);

int rf_libc_sigaction(int number, const struct sigaction *action, struct sigaction *old) {
  return __sigaction(number, action, old);
}

sighandler_t rf_libc_signal(int number, sighandler_t handler) {
  return ssignal(number, handler);
}

void *rf_libc_private(const char *name) {
  return rf_real(name);
}

/* The program's table of symbols has its address, and no section for it. */
bool rf_libc_is_jump(uintptr_t function) {
  Dl_info place;
  void *entry = NULL;
  return dladdr1 != NULL && dladdr1((const void *)function, &place, &entry, RTLD_DL_SYMENT) != 0 && entry != NULL &&
         (uintptr_t)place.dli_saddr == function && ((const ElfW(Sym) *)entry)->st_shndx == SHN_UNDEF;
}
