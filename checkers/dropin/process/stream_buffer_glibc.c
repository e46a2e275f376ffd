#define _GNU_SOURCE
#include "stream_buffer.h"

#include "checkers/dropin/heap/span.h"
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/malloc_impl.h"
#include "checkers/dropin/runtime/state.h"
#include "stream_list.h"

#include <errno.h>
#include <stddef.h>

#include "checkers/os/host.h"
#include "checkers/page/page_store.h"

extern FILE *_IO_list_all __attribute__((weak));

/* The C library's own streams. The names that <stdio.h> has for them are variables, which the program may set. */
/* NOLINTBEGIN(cert-fio38-c): its address alone */
extern FILE _IO_2_1_stdin_ __attribute__((weak));
extern FILE _IO_2_1_stdout_ __attribute__((weak));
extern FILE _IO_2_1_stderr_ __attribute__((weak));
/* NOLINTEND(cert-fio38-c) */

/* No block, and never gone. */
static bool is_standard(const FILE *stream) {
  return stream == &_IO_2_1_stdin_ || stream == &_IO_2_1_stdout_ || stream == &_IO_2_1_stderr_;
}

static bool has_waiting_bytes(const FILE *stream) {
  return stream->_IO_write_ptr > stream->_IO_write_base;
}

/* A stream that another thread uses is passed over: its buffer may be about to change. */
static void look_at(FILE *stream, const rf_origin *origin) {
  if (!has_waiting_bytes(stream) || ftrylockfile(stream) != 0) {
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
  return is_standard(stream) || (!rf_malloc_impl_is_freed(stream) &&
                                 /* NOLINTNEXTLINE(cert-fio38-c): its size alone */
                                 (!rf_guarded_blocks_own(stream) || rf_host_readable(stream, sizeof *stream)));
}

static bool is_among_slots(uintptr_t first, uintptr_t last) {
  const rf_span *const span = rf_span_holding(first);
  return span != NULL && !span->large && rf_span_holding(last) == span;
}

/* A stream of the list. No call of the system where memory is certainly there: the C library's own streams, and blocks
 * of the heap. Where the next malloc has them, the C library reads the list without asking, as it does without us. */
static bool can_be_read(const FILE *stream) {
  uintptr_t const first = (uintptr_t)stream;
  /* NOLINTBEGIN(cert-fio38-c): its size alone */
  return is_standard(stream) || rf_forward.now == RF_FORWARD_ON || is_among_slots(first, first + sizeof *stream - 1) ||
         rf_host_readable(stream, sizeof *stream);
  /* NOLINTEND(cert-fio38-c) */
}

/* A program that frees a stream by `free` leaves it in the list, where the C library is about to read it. On closed
 * pages that read is found. */
static void look_at_all(const rf_origin *origin) {
  bool const locked = rf_stream_list_lock();
  FILE *stream = &_IO_list_all != NULL ? _IO_list_all : NULL;
  while (stream != NULL && can_be_read(stream) && is_there(stream)) {
    look_at(stream, origin);
    stream = stream->_chain;
  }
  if (stream != NULL && !is_standard(stream) && !rf_guarded_blocks_own(stream) && rf_malloc_impl_is_freed(stream)) {
    (void)rf_malloc_impl_report_stale(stream, 1, RF_ACCESS_READ, origin);
  }
  if (locked) {
    rf_stream_list_unlock();
  }
}

void rf_stream_buffer_look(FILE *stream, const rf_origin *origin) {
  rf_origin const none = {NULL, 0, NULL};
  int const saved = errno;
  if (rf_process.options.mode == RF_MODE_OFF) {
    return; /* which knows of no freed block */
  }
  if (stream == NULL) {
    look_at_all(origin != NULL ? origin : &none);
  } else if (is_there(stream)) {
    look_at(stream, origin != NULL ? origin : &none);
  }
  errno = saved;
}

/* The system refuses all where it may not write the first byte, and moves less than it was told to elsewhere. */
void rf_stream_buffer_refused(FILE *stream, const rf_origin *origin) {
  int const saved = errno;
  if (saved != EFAULT || !is_there(stream) || ferror_unlocked(stream) == 0) {
    return;
  }
  const char *const buffer = stream->_IO_buf_base;
  if (buffer != NULL && rf_guarded_blocks_own(buffer) && stream->_IO_buf_end > buffer) {
    size_t const size = (size_t)(stream->_IO_buf_end - buffer);
    (void)rf_page_store_report_transfer(rf_guarded_blocks.store, buffer, 1, size, RF_ACCESS_WRITE, origin);
  }
  errno = saved;
}
