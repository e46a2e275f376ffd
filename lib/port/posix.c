/* The port for systems with POSIX threads. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall, sigtimedwait */
#endif
#include <ringfence/port.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

/* ---- Mutex ---- */

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(rf_mutex), "rf_mutex holds a pthread mutex");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(rf_mutex), "rf_mutex holds a pthread mutex");

static pthread_mutex_t *native(rf_mutex *mutex) {
  return (pthread_mutex_t *)(void *)mutex->opaque;
}

/* Called with what no correct program can cause; going on without the lock would be worse than stopping. */
static void must_succeed(int error) {
  if (error != 0) {
    rf_port_panic();
  }
}

rf_status rf_mutex_init(rf_mutex *mutex) {
  return pthread_mutex_init(native(mutex), NULL) == 0 ? RF_OK : RF_ERR_NO_MEMORY;
}

void rf_mutex_deinit(rf_mutex *mutex) {
  (void)pthread_mutex_destroy(native(mutex));
}

void rf_mutex_lock(rf_mutex *mutex) {
  must_succeed(pthread_mutex_lock(native(mutex)));
}

void rf_mutex_unlock(rf_mutex *mutex) {
  must_succeed(pthread_mutex_unlock(native(mutex)));
}

/* ---- Event ---- */

typedef struct event {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool set;
} event;

_Static_assert(sizeof(event) <= sizeof(rf_event), "rf_event holds an event");
_Static_assert(_Alignof(event) <= _Alignof(rf_event), "rf_event holds an event");

static event *native_event(rf_event *e) {
  return (event *)(void *)e->opaque;
}

/* A condition variable that waits by the monotonic clock, so that setting the time of day moves no timeout. */
static int cond_init(pthread_cond_t *cond) {
  pthread_condattr_t attr;
  int error = pthread_condattr_init(&attr);
  if (error != 0) {
    return error;
  }
  error = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  if (error == 0) {
    error = pthread_cond_init(cond, &attr);
  }
  (void)pthread_condattr_destroy(&attr);
  return error;
}

rf_status rf_event_init(rf_event *e) {
  event *const self = native_event(e);
  self->set = false;
  if (pthread_mutex_init(&self->mutex, NULL) != 0) {
    return RF_ERR_NO_MEMORY;
  }
  if (cond_init(&self->changed) != 0) {
    (void)pthread_mutex_destroy(&self->mutex);
    return RF_ERR_NO_MEMORY;
  }
  return RF_OK;
}

void rf_event_deinit(rf_event *e) {
  event *const self = native_event(e);
  (void)pthread_cond_destroy(&self->changed);
  (void)pthread_mutex_destroy(&self->mutex);
}

void rf_event_set(rf_event *e) {
  event *const self = native_event(e);
  must_succeed(pthread_mutex_lock(&self->mutex));
  self->set = true;
  /* Signalled under the mutex: the waiter may end the event as soon as it has seen it set. */
  must_succeed(pthread_cond_signal(&self->changed));
  must_succeed(pthread_mutex_unlock(&self->mutex));
}

static struct timespec deadline_after(uint32_t timeout_ms) {
  struct timespec at;
  (void)clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_sec += (time_t)(timeout_ms / 1000U);
  at.tv_nsec += (long)(timeout_ms % 1000U) * 1000000L;
  if (at.tv_nsec >= 1000000000L) {
    at.tv_nsec -= 1000000000L;
    at.tv_sec++;
  }
  return at;
}

/* One wait of the loop below: 0 when woken, for whatever reason; ETIMEDOUT when the time is over. */
static int wait_once(event *self, uint32_t timeout_ms, const struct timespec *deadline) {
  if (timeout_ms == 0) {
    return ETIMEDOUT;
  }
  if (timeout_ms == RF_WAIT_FOREVER) {
    return pthread_cond_wait(&self->changed, &self->mutex);
  }
  return pthread_cond_timedwait(&self->changed, &self->mutex, deadline);
}

rf_status rf_event_wait(rf_event *e, uint32_t timeout_ms) {
  event *const self = native_event(e);
  struct timespec const deadline = deadline_after(timeout_ms == RF_WAIT_FOREVER ? 0 : timeout_ms);
  int error = 0;
  must_succeed(pthread_mutex_lock(&self->mutex));
  while (!self->set && error == 0) {
    error = wait_once(self, timeout_ms, &deadline);
  }
  bool const was_set = self->set;
  self->set = false;
  must_succeed(pthread_mutex_unlock(&self->mutex));
  return was_set ? RF_OK : RF_ERR_TIMEOUT;
}

/* ---- Clock and threads ---- */

uint64_t rf_port_now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

#if defined(__linux__)

/* initial-exec: the first access in a thread must not allocate, since an allocator may be asking. */
__thread uint32_t rf_port_known_id __attribute__((tls_model("initial-exec")));

/* The child's thread is a new one with a new number. */
static void forget_id(void) {
  rf_port_known_id = 0;
}

__attribute__((constructor)) void rf_port_watch_forks(void) {
  static bool watched;
  if (!__atomic_exchange_n(&watched, true, __ATOMIC_RELAXED)) {
    (void)pthread_atfork(NULL, NULL, forget_id);
  }
}

uint32_t rf_port_thread_id(void) {
  if (rf_port_known_id == 0) {
    rf_port_known_id = (uint32_t)syscall(SYS_gettid);
  }
  return rf_port_known_id;
}

#else

uint32_t rf_port_thread_id(void) {
  uint64_t const self = (uint64_t)(uintptr_t)pthread_self();
  return (uint32_t)(self ^ (self >> 32)) | 1U;
}

#endif

bool rf_port_in_interrupt(void) {
  return false;
}

/* ---- Log and panic ---- */

/* How long to wait for a full, non-blocking pipe or terminal before the rest of the text is given up. */
#define LOG_PATIENCE_MS 1000

/* True where writing may go on after `error`. */
static bool log_retry(int error) {
  struct pollfd room = {STDERR_FILENO, POLLOUT, 0};
  if (error != EAGAIN && error != EWOULDBLOCK) {
    return error == EINTR;
  }
  int const ready = poll(&room, 1, LOG_PATIENCE_MS);
  return ready == 1 || (ready == -1 && errno == EINTR);
}

/* 0, or the error that ended it. */
static int write_all(const char *text, size_t len) {
  while (len != 0) {
    ssize_t const written = write(STDERR_FILENO, text, len);
    if (written > 0) {
      text += written;
      len -= (size_t)written;
    } else if (written == 0) {
      return EIO;
    } else if (!log_retry(errno)) {
      return errno;
    }
  }
  return 0;
}

/* The signal that came with `error` of a write; 0: none. */
static int sent_with(int error) {
  return error == EPIPE ? SIGPIPE : error == EFBIG ? SIGXFSZ : 0;
}

#if RF_PORT_KNOWN_ID

static bool spares_signals; /* accessed atomically */

void rf_port_log_spares_signals(void) {
  __atomic_store_n(&spares_signals, true, __ATOMIC_RELAXED);
}

static bool may_take_signals(void) {
  return !__atomic_load_n(&spares_signals, __ATOMIC_RELAXED);
}

#else

static bool may_take_signals(void) {
  return true;
}

#endif

typedef struct refused_write {
  sigset_t mask; /* as it was */
  sigset_t waiting;
} refused_write;

/* Takes the signal that came with a write; true where it waits no more. One that is ignored waits as well while it is
 * blocked. */
static bool refused_take(int sent, bool may_take) {
  struct timespec const at_once = {0, 0};
  sigset_t refusal;
  int taken = -1;
  (void)sigemptyset(&refusal);
  (void)sigaddset(&refusal, sent);
  do {
    errno = EPERM;
    taken = may_take ? sigtimedwait(&refusal, NULL, &at_once) : -1;
  } while (taken == -1 && errno == EINTR);
  return taken == sent || errno == EAGAIN;
}

/* Only a signal that was blocked before can wait. `may_take`: the process may ask which signals wait, and take them; a
 * sandbox may forbid that. */
static void refused_begin(refused_write *w, bool may_take) {
  sigset_t refusals;
  (void)sigemptyset(&refusals);
  (void)sigaddset(&refusals, SIGPIPE);
  (void)sigaddset(&refusals, SIGXFSZ);
  (void)pthread_sigmask(SIG_BLOCK, &refusals, &w->mask);
  (void)sigemptyset(&w->waiting);
  if (may_take && (sigismember(&w->mask, SIGPIPE) == 1 || sigismember(&w->mask, SIGXFSZ) == 1)) {
    (void)sigpending(&w->waiting);
  }
}

/* `sent` is the signal that came with the write, or 0. Where it cannot be taken it stays blocked, for it would end the
 * program. */
static void refused_end(refused_write *w, int sent, bool may_take) {
  if (sent != 0 && sigismember(&w->waiting, sent) == 0 && !refused_take(sent, may_take)) {
    (void)sigaddset(&w->mask, sent);
  }
  (void)pthread_sigmask(SIG_SETMASK, &w->mask, NULL);
}

/* A reader of standard error that went away must not kill the program with SIGPIPE in the middle of a report, nor a
 * file that may not grow with SIGXFSZ: both are blocked for this thread, and taken off again if they came from here.
 * Nor may the thread be cancelled: its caller may hold a lock. */
void rf_port_log(const char *text, size_t len) {
  int const saved_errno = errno;
  bool const may_take = may_take_signals();
  refused_write refused;
  int cancellation = PTHREAD_CANCEL_ENABLE;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellation);
  refused_begin(&refused, may_take);
  refused_end(&refused, sent_with(write_all(text, len)), may_take);
  (void)pthread_setcancelstate(cancellation, &cancellation);
  errno = saved_errno;
}

_Noreturn void rf_port_panic(void) {
  abort();
}
