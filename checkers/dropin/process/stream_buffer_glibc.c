#define _GNU_SOURCE
#include "stream_buffer.h"

#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/malloc_impl.h"
#include "stream_list.h"

#include <errno.h>
#include <stddef.h>

#include "checkers/os/host.h"

extern FILE *_IO_list_all __attribute__((weak));

/* A stream that another thread uses is passed over: its buffer may be about to change. */
static void look_at(FILE *stream, const rf_origin *origin) {
  if (ftrylockfile(stream) != 0) {
    return;
  }
  const char *const from = stream->_IO_write_base;
  const char *const to = stream->_IO_write_ptr;
  if (from != NULL && to > from) {
    (void)rf_malloc_impl_report_stale(from, (size_t)(to - from), RF_ACCESS_READ, origin);
  }
  funlockfile(stream);
}

/* A closed stream's memory may be closed as well. */
static bool is_there(const FILE *stream) {
  return !rf_malloc_impl_is_freed(stream) &&
         /* NOLINTNEXTLINE(cert-fio38-c): its size alone */
         (!rf_guarded_blocks_own(stream) || rf_host_readable(stream, sizeof *stream));
}

/* A program that frees a stream by `free` leaves it in the list. */
static void look_at_all(const rf_origin *origin) {
  bool const locked = rf_stream_list_lock();
  FILE *stream = &_IO_list_all != NULL ? _IO_list_all : NULL;
  /* NOLINTNEXTLINE(cert-fio38-c): the same */
  while (stream != NULL && rf_host_readable(stream, sizeof *stream) && is_there(stream)) {
    look_at(stream, origin);
    stream = stream->_chain;
  }
  if (locked) {
    rf_stream_list_unlock();
  }
}

void rf_stream_buffer_look(FILE *stream, const rf_origin *origin) {
  rf_origin const none = {NULL, 0, NULL};
  int const saved = errno;
  if (stream == NULL) {
    look_at_all(origin != NULL ? origin : &none);
  } else if (is_there(stream)) {
    look_at(stream, origin != NULL ? origin : &none);
  }
  errno = saved;
}
