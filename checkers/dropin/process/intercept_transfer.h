/* The parts that calls which move memory by way of the system are made of (intercept_transfer.c). The file that
 * includes this has the functions behind in a structure `theirs`, and find_theirs() to fill it in. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_TRANSFER_H
#define RINGFENCE_DROPIN_INTERCEPT_TRANSFER_H

#include "checkers/dropin/malloc/guarded_blocks.h"
#include "intercept.h"
#include "lifecycle.h"
#include "stream_buffer.h"

#include <errno.h>
#include <ringfence/layout.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "checkers/os/host.h"
#include "lib/core/compiler.h"

/* Reports closed memory that a call met which has moved `result` bytes, -1: it failed, by EFAULT perhaps. `access` is
 * the call's. errno is left alone. */
void rf_transfer_look(const void *buffer, size_t size, ssize_t result, rf_access access, const rf_origin *origin);
void rf_transfer_look_list(const struct iovec *list, int count, ssize_t result, rf_access access,
                           const rf_origin *origin);

/* Memory of which a call has told the system. */
typedef struct rf_transfer_piece {
  const void *start;
  size_t size;
  rf_access access;
  bool is_string; /* up to its NUL; size is not used */
} rf_transfer_piece;

/* The number at `length`, which may itself lie in closed memory. */
static inline size_t rf_transfer_length_at(const socklen_t *length) {
  return rf_host_readable(length, sizeof *length) ? *length : 0;
}

/* The call failed with EFAULT: reports the first of its pieces that meets closed memory. errno is left alone. */
void rf_transfer_look_pieces(const rf_transfer_piece *pieces, size_t count, const rf_origin *origin);

/* The same of strings, whose list ends with NULL, for a call that failed. True where something was reported. */
bool rf_transfer_look_strings(char *const *list, const rf_origin *origin);

#define WATCHING RF_UNLIKELY(rf_guarded_blocks.store != NULL)

/* For a call that moves up to `n` bytes at `buf`. */
#define MOVES(result_type, name, parameters, arguments, n, moved, access)                                              \
  RF_EXPORT result_type name parameters {                                                                              \
    find_theirs();                                                                                                     \
    if (!WATCHING) {                                                                                                   \
      return theirs.name arguments;                                                                                    \
    }                                                                                                                  \
    result_type const result = theirs.name arguments;                                                                  \
    if ((moved) != (ssize_t)(n)) {                                                                                     \
      rf_origin const origin = RF_CALLER;                                                                              \
      rf_transfer_look(buf, (n), (moved), (access), &origin);                                                          \
    }                                                                                                                  \
    return result;                                                                                                     \
  }

#define INTO(name, parameters, arguments) MOVES(ssize_t, name, parameters, arguments, n, result, RF_ACCESS_WRITE)
#define OUT_OF(name, parameters, arguments) MOVES(ssize_t, name, parameters, arguments, n, result, RF_ACCESS_READ)

/* For one that has other memory beside `buf`: the pieces, `buf` first, are looked at where it fails. */
#define WITH_PIECES(name, parameters, arguments, access, ...)                                                          \
  RF_EXPORT ssize_t name parameters {                                                                                  \
    find_theirs();                                                                                                     \
    ssize_t const result = theirs.name arguments;                                                                      \
    if (WATCHING && result != (ssize_t)n) {                                                                            \
      rf_origin const origin = RF_CALLER;                                                                              \
      if (result == -1 && errno == EFAULT) {                                                                           \
        const rf_transfer_piece pieces[] = {__VA_ARGS__};                                                              \
        rf_transfer_look_pieces(pieces, sizeof pieces / sizeof pieces[0], &origin);                                    \
      } else {                                                                                                         \
        rf_transfer_look(buf, n, result, (access), &origin);                                                           \
      }                                                                                                                \
    }                                                                                                                  \
    return result;                                                                                                     \
  }

#define RECEIVES(name, parameters, arguments)                                                                          \
  WITH_PIECES(name, parameters, arguments, RF_ACCESS_WRITE, {buf, n, RF_ACCESS_WRITE, false},                          \
              {length, sizeof *length, RF_ACCESS_WRITE, false},                                                        \
              {RF_LIBC_SOCKADDR_AT(from), rf_transfer_length_at(length), RF_ACCESS_WRITE, false})

/* For lists, whose size only the system knows: a call is looked at if it moved less than that. */
#define LISTS(name, parameters, arguments, access)                                                                     \
  RF_EXPORT ssize_t name parameters {                                                                                  \
    find_theirs();                                                                                                     \
    ssize_t const result = theirs.name arguments;                                                                      \
    if (WATCHING) {                                                                                                    \
      rf_origin const origin = RF_CALLER;                                                                              \
      rf_transfer_look_list(list, (int)count, result, (access), &origin);                                              \
    }                                                                                                                  \
    return result;                                                                                                     \
  }

/* Streams copy by themselves, which the processor notices, but for large pieces: these go to the system directly, and
 * its error becomes the stream's. So it does where a buffer is filled. One that was closed moves nothing. */
#define STREAMS(name, parameters, arguments, access)                                                                   \
  RF_EXPORT size_t name parameters {                                                                                   \
    find_theirs();                                                                                                     \
    size_t const result = theirs.name arguments;                                                                       \
    if (RF_UNLIKELY(result != n)) {                                                                                    \
      rf_origin const origin = RF_CALLER;                                                                              \
      size_t all;                                                                                                      \
      if (rf_process_uses(stream, &origin) && WATCHING && errno == EFAULT && rf_mul(size, n, &all) &&                  \
          ferror_unlocked(stream)) {                                                                                   \
        rf_transfer_look(buf, all, -1, (access), &origin);                                                             \
        if ((access) == RF_ACCESS_WRITE) {                                                                             \
          rf_stream_buffer_refused(stream, &origin);                                                                   \
        }                                                                                                              \
      }                                                                                                                \
    }                                                                                                                  \
    return result;                                                                                                     \
  }

#endif /* RINGFENCE_DROPIN_INTERCEPT_TRANSFER_H */
