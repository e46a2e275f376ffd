/* The file format of traces: recorded requests to an allocator. docs/traces.md describes it; trace_writer.h writes it,
 * tools/trace/read.h reads it. Numbers are little-endian; a varint is 7 bits a byte, lowest first, the top bit set in
 * all bytes but the last.
 *
 *     file   = header chunk*
 *     header = "RFTRACE\n"  version:u32  process:u32  crc:u32 (of the 16 bytes before it)
 *     chunk  = length:u32 (of the payload)  number:u32 (0, 1, 2 …)  crc:u32 (of number and payload)  payload
 *     payload = event*     an event, a request or another, never spans chunks
 *
 *     request = tag:u8  [time]  [back]  [size]  [align]  [site]      ALLOC, FREE, REALLOC: varints, as kind and tag say
 *     other   = tag:u8  fields, varints; a text is its length, then its bytes
 *
 * Blocks are named by sequence: the first allocation that succeeded is 0, the next one 1. A free or a resize says
 * how far back that was: the number of blocks so far, less the name.
 */
#ifndef RINGFENCE_TRACE_FORMAT_H
#define RINGFENCE_TRACE_FORMAT_H

#define RF_TRACE_MAGIC "RFTRACE\n"
#define RF_TRACE_VERSION 1U
#define RF_TRACE_HEADER_BYTES 20U
#define RF_TRACE_CHUNK_HEADER_BYTES 12U
#define RF_TRACE_CHUNK_MOST ((size_t)1 << 20) /* bytes of payload */
#define RF_TRACE_TEXT_MOST 200U               /* bytes of a file's, function's or module's name: the last ones */
#define RF_TRACE_FRAMES_MOST 32U

/* The low three bits of a tag, and the fields that follow. */
enum {
  RF_TRACE_ALLOC,   /* size; makes the next block */
  RF_TRACE_FREE,    /* back */
  RF_TRACE_REALLOC, /* back, size */
  RF_TRACE_SITE,    /* line, file, function, count, count addresses; makes the next call site, the first is 1 */
  RF_TRACE_MODULE,  /* start, end, bias, path, build id: where the code of addresses comes from */
  RF_TRACE_THREAD,  /* number: the events behind this one are that thread's */
  RF_TRACE_LOST,    /* count of requests that are missing here */
  RF_TRACE_END      /* count of ALLOC, FREE and REALLOC so far: nothing is missing behind the last event */
};

#define RF_TRACE_KIND 0x07U

/* The fields of ALLOC, FREE and REALLOC. */
enum {
  RF_TRACE_HAS_ALIGN = 0x08, /* log2 of the alignment as a varint; without: that of max_align_t */
  RF_TRACE_FAILED = 0x10,    /* the answer was NULL: there is no block, or it stays as it was */
  RF_TRACE_HAS_SITE = 0x20,  /* without: the same site as the request before; at first 0, not known */
  RF_TRACE_HAS_TIME = 0x40   /* microseconds since the request before; without: 0 */
};

#endif /* RINGFENCE_TRACE_FORMAT_H */
