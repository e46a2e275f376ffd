#include "stream_list.h"

#include "checkers/dropin/os/futex.h"

#include <stddef.h>

/* Recursive. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

bool rf_stream_list_lock(void) {
  if (rf_one_thread() || _IO_list_lock == NULL || _IO_list_unlock == NULL || _IO_list_resetlock == NULL) {
    return false;
  }
  _IO_list_lock();
  return true;
}

void rf_stream_list_unlock(void) {
  _IO_list_unlock();
}

void rf_stream_list_reset(void) {
  _IO_list_resetlock();
}
