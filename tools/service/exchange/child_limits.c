#include "tools/service/exchange/child_limits.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* The shadow of a sanitizer is address space. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WITHOUT_MEMORY_LIMIT 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITHOUT_MEMORY_LIMIT 1
#endif

void rf_child_limit(unsigned seconds, unsigned gib) {
  struct rlimit const time = {seconds, seconds};
  struct rlimit const memory = {(rlim_t)gib << 30, (rlim_t)gib << 30};
  struct rlimit const file = {(rlim_t)4 << 30, (rlim_t)4 << 30};
  sigset_t none;
  (void)sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)setrlimit(RLIMIT_CPU, &time);
  (void)setrlimit(RLIMIT_FSIZE, &file);
#ifndef WITHOUT_MEMORY_LIMIT
  (void)setrlimit(RLIMIT_AS, &memory);
#else
  (void)memory;
#endif
  (void)alarm(seconds);
}
