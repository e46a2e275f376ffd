#include "sandbox.h"

#include "checkers/dropin/os/raw_syscall.h"

#include <ringfence/port.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include "checkers/os/forbidden_calls.h"
#include "checkers/os/host.h"

/* As in linux/filter.h and linux/seccomp.h, which not every C library's compiler finds. */
typedef struct instruction {
  uint16_t code;
  uint8_t if_true;
  uint8_t if_false;
  uint32_t k;
} instruction;

typedef struct filter_program {
  uint16_t length;
  const instruction *code;
} filter_program;

typedef struct call_data {
  int32_t number;
  uint32_t machine;
  uint64_t at;
  uint64_t arguments[6];
} call_data;

enum { LOAD = 0x20, AND = 0x54, JUMP = 0x05, IF_EQUAL = 0x15, IF_ABOVE = 0x25, IF_AT_LEAST = 0x35, IF_ANY_BIT = 0x45 };
enum { RETURN = 0x06, RETURN_LOADED = 0x16 };

#define MODE_STRICT 1UL
#define ACTION 0xFFFF0000U
#define KILL_PROCESS 0x80000000U
#define KILL_THREAD 0U
#define TRAP 0x00030000U
#define REFUSE 0x00050000U
#define ALLOW 0x7FFF0000U

#if defined(__x86_64__)
#define MACHINE 0xC000003EU
#elif defined(__i386__)
#define MACHINE 0x40000003U
#elif defined(__aarch64__)
#define MACHINE 0xC00000B7U
#else
#define MACHINE 0U
#endif

static uint32_t load(const call_data *call, uint32_t offset) {
  uint32_t word = 0;
  if (offset <= sizeof *call - sizeof word) {
    memcpy(&word, (const unsigned char *)call + offset, sizeof word);
  }
  return word;
}

static bool holds(const instruction *i, uint32_t loaded) {
  switch (i->code) {
  case IF_EQUAL:
    return loaded == i->k;
  case IF_ABOVE:
    return loaded > i->k;
  case IF_AT_LEAST:
    return loaded >= i->k;
  default:
    return (loaded & i->k) != 0;
  }
}

/* A jump may lead anywhere, as the system may not have looked at the filter: a place of 32 bits would wrap. */
static uint32_t answer(const filter_program *filter, const call_data *call) {
  uint32_t loaded = 0;
  for (uint64_t at = 0; at < filter->length; at++) {
    const instruction *const i = &filter->code[at];
    switch (i->code) {
    case LOAD:
      loaded = load(call, i->k);
      break;
    case AND:
      loaded &= i->k;
      break;
    case JUMP:
      at += i->k;
      break;
    case IF_EQUAL:
    case IF_ABOVE:
    case IF_AT_LEAST:
    case IF_ANY_BIT:
      at += holds(i, loaded) ? i->if_true : i->if_false;
      break;
    case RETURN:
      return i->k;
    case RETURN_LOADED:
      return loaded;
    default:
      return ALLOW;
    }
  }
  return ALLOW;
}

static uint32_t action_of(const filter_program *filter, long number) {
  call_data const call = {.number = (int32_t)number, .machine = MACHINE};
  return answer(filter, &call) & ACTION;
}

static bool ends(uint32_t action) {
  return action == KILL_PROCESS || action == KILL_THREAD || action == TRAP;
}

#if defined(SYS_fstat64)
#define FSTAT_CALL SYS_fstat64
#else
#define FSTAT_CALL SYS_fstat
#endif
#if defined(SYS_fcntl64)
#define FCNTL_CALL SYS_fcntl64
#else
#define FCNTL_CALL SYS_fcntl
#endif
#if defined(SYS_newfstatat)
#define FSTATAT_CALL SYS_newfstatat /* glibc 2.33 and later: fstat makes this call */
#else
#define FSTATAT_CALL SYS_fstatat64
#endif
#if defined(SYS_readlink)
#define READLINK_CALL SYS_readlink
#else
#define READLINK_CALL SYS_readlinkat
#endif
#ifndef SYS_membarrier
#define SYS_membarrier (-1)
#endif

static const struct {
  long number;
  uint32_t uses; /* an or of rf_system_call */
} calls[] = {
    {SYS_madvise, RF_CALL_MADVISE | RF_CALL_OTHERS},
    {SYS_mprotect, RF_CALL_MPROTECT},
    {RF_MMAP_CALL, RF_CALL_MMAP},
    {SYS_mremap, RF_CALL_MREMAP},
    {SYS_munmap, RF_CALL_MUNMAP},
    {SYS_membarrier, RF_CALL_MEMBARRIER},
    {SYS_clock_nanosleep, RF_CALL_NANOSLEEP},
    {SYS_nanosleep, RF_CALL_NANOSLEEP},
    {SYS_rt_sigprocmask, RF_CALL_SIGNAL_MASK | RF_CALL_OPEN | RF_CALL_OTHERS},
    {SYS_getpid, RF_CALL_GETPID | RF_CALL_OTHERS},
    {SYS_gettid, RF_CALL_GETTID | RF_CALL_OTHERS},
    {SYS_openat, RF_CALL_OPEN | RF_CALL_OTHERS},
    {SYS_close, RF_CALL_OPEN | RF_CALL_OTHERS},
    {FCNTL_CALL, RF_CALL_OPEN | RF_CALL_PEEK},
    {FSTAT_CALL, RF_CALL_OPEN},
    {READLINK_CALL, RF_CALL_OPEN | RF_CALL_OTHERS},
    {SYS_rt_sigaction, RF_CALL_OTHERS},
    {SYS_read, RF_CALL_OTHERS},
    {SYS_getdents64, RF_CALL_OTHERS},
    {SYS_readlinkat, RF_CALL_OTHERS},
    {SYS_sigaltstack, RF_CALL_OTHERS},
    {SYS_process_vm_readv, RF_CALL_OTHERS},
    {SYS_process_vm_writev, RF_CALL_OTHERS},
    {SYS_pread64, RF_CALL_SPOOL | RF_CALL_OTHERS},
    {SYS_tee, RF_CALL_PEEK},
    {SYS_pipe2, RF_CALL_PEEK},
    {SYS_recvfrom, RF_CALL_PEEK},
    {SYS_getsockopt, RF_CALL_PEEK},
    {SYS_setsockopt, RF_CALL_PEEK},
    {FSTATAT_CALL, RF_CALL_OPEN},
    {SYS_ioctl, RF_CALL_IOCTL},
    {SYS_flock, RF_CALL_SPOOL},
    {SYS_linkat, RF_CALL_SPOOL},
    {SYS_unlinkat, RF_CALL_SPOOL},
    {SYS_mkdirat, RF_CALL_SPOOL},
    {SYS_fchmod, RF_CALL_SPOOL},
    {SYS_socket, RF_CALL_SPOOL},
    {SYS_sendto, RF_CALL_SPOOL},
#if defined(SYS_shmat)
    {SYS_shmat, RF_CALL_SPOOL},
    {SYS_shmctl, RF_CALL_SPOOL},
#endif
    {SYS_rt_sigpending, RF_CALL_PENDING},
    {SYS_rt_sigtimedwait, RF_CALL_PENDING},
    {SYS_prlimit64, RF_CALL_LIMIT},
    {SYS_mknodat, RF_CALL_MARK},
    {SYS_pkey_mprotect, RF_CALL_KEY},
    {SYS_mincore, RF_CALL_RESIDENT},
};

void rf_sandbox_entered(unsigned long mode, const void *filter) {
  uint32_t forbidden = mode == MODE_STRICT ? RF_CALL_CLOCK : 0;
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    if (mode == MODE_STRICT || ends(action_of((const filter_program *)filter, calls[i].number))) {
      forbidden |= calls[i].uses;
    }
  }
  rf_forbid(forbidden);
  if ((forbidden & RF_CALL_PENDING) != 0) {
    rf_port_log_spares_signals();
  }
}

/* The system has not looked at the filter yet: it may lie nowhere. */
static bool can_be_read(const filter_program *filter) {
  return rf_host_readable(filter, sizeof *filter) &&
         rf_host_readable(filter->code, filter->length * sizeof filter->code[0]);
}

bool rf_sandbox_gives_memory(unsigned long mode, const void *filter) {
  if (mode == MODE_STRICT) {
    return false;
  }
  uint32_t const action = can_be_read((const filter_program *)filter) ? action_of(filter, RF_MMAP_CALL) : ALLOW;
  return !ends(action) && action != REFUSE;
}

bool rf_sandbox_forbids_search(void) {
  return rf_is_forbidden(RF_CALL_OTHERS);
}
