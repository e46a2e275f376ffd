/* Streams whose buffer was freed while they were open (setvbuf, then free). The system reads the bytes that are still
 * to be written out, and writes those that come from a file: it refuses closed memory, and the C library's call fails
 * without a signal. */
#ifndef RINGFENCE_DROPIN_STREAM_BUFFER_H
#define RINGFENCE_DROPIN_STREAM_BUFFER_H

#include <ringfence/block.h>
#include <stdio.h>

#include "checkers/shared/origin.h"

/* Reports the stream if what it is about to write out lies in a freed block. NULL: all streams. `origin` NULL: at the
 * end of the process, which writes out all of them. Any thread; takes the C library's lock of all streams for NULL. */
void rf_stream_buffer_look(FILE *stream, const rf_origin *origin);

/* A call that reads from `stream` has failed. Reports a buffer of the stream's that lies in a freed block whose pages
 * are closed: the system has refused to fill it. errno is left alone. Any thread. */
void rf_stream_buffer_refused(FILE *stream, const rf_origin *origin);

#endif /* RINGFENCE_DROPIN_STREAM_BUFFER_H */
