/* Calls by which the program hands the system a pointer that it gets back later (handed_over.h). Only in the library.
 */
#define _GNU_SOURCE
#include "checkers/dropin/runtime/handed_over.h"
#include "intercept.h"
#include "lib/core/compiler.h"

#include <mqueue.h>
#include <signal.h>
#include <sys/msg.h>

#if defined(__GLIBC__)
#define MORE(with) with(pthread_sigqueue)
#else
#define MORE(with) /* not there */
#endif
#define EACH(with) MORE(with) with(sigqueue) with(mq_notify) with(mq_send) with(mq_timedsend) with(msgsnd)

static struct { EACH(DECLARE) } theirs;

static void find_theirs(void) {
  if (RF_UNLIKELY(theirs.sigqueue == NULL)) {
    EACH(FIND)
  }
}

RF_EXPORT int sigqueue(pid_t process, int number, const union sigval value) {
  find_theirs();
  rf_handed_over((uintptr_t)value.sival_ptr);
  return theirs.sigqueue(process, number, value);
}

#if defined(__GLIBC__)
RF_EXPORT int pthread_sigqueue(pthread_t thread, int number, const union sigval value) {
  find_theirs();
  rf_handed_over((uintptr_t)value.sival_ptr);
  return theirs.pthread_sigqueue(thread, number, value);
}
#endif

RF_EXPORT int mq_notify(mqd_t queue, const struct sigevent *event) {
  find_theirs();
  int const result = theirs.mq_notify(queue, event);
  if (result == 0 && event != NULL) {
    rf_handed_over((uintptr_t)event->sigev_value.sival_ptr);
  }
  return result;
}

RF_EXPORT int mq_send(mqd_t queue, const char *message, size_t size, unsigned priority) {
  find_theirs();
  int const result = theirs.mq_send(queue, message, size, priority);
  rf_handed_over_bytes(message, result == 0 ? size : 0);
  return result;
}

RF_EXPORT int mq_timedsend(mqd_t queue, const char *message, size_t size, unsigned priority,
                           const struct timespec *limit) {
  find_theirs();
  int const result = theirs.mq_timedsend(queue, message, size, priority, limit);
  rf_handed_over_bytes(message, result == 0 ? size : 0);
  return result;
}

RF_EXPORT int msgsnd(int queue, const void *message, size_t size, int flags) {
  find_theirs();
  int const result = theirs.msgsnd(queue, message, size, flags);
  rf_handed_over_bytes((const char *)message + sizeof(long), result == 0 ? size : 0);
  return result;
}
