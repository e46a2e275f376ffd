/* The process's memory map, read from /proc/self/maps without allocating and without the dynamic linker's locks, so
 * that it can be read inside malloc and in signal handlers. Internal to checkers/; Linux. */
#ifndef RINGFENCE_MAPS_H
#define RINGFENCE_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One line. `name` is the file, "[stack]", "[heap]" or empty; valid during the call only. */
typedef struct rf_map {
  uintptr_t start;
  uintptr_t end;
  uint64_t file_offset;
  bool readable;
  bool writable;
  bool executable;
  bool shared;
  const char *name; /* with a NUL behind it */
  size_t name_length;
} rf_map;

/* The value of the hexadecimal digits at *at, in lower case and without "0x" as in the files of /proc. Moves *at behind
 * them; 0 where there are none. */
uint64_t rf_maps_take_hex(const char **at);

/* Calls `visit` for each mapping in order of address, until it answers false. False where the map cannot be read, if
 * only to its end, or is empty. Keeps errno. A name of more than 900 bytes is cut. */
bool rf_maps_each(bool (*visit)(const rf_map *map, void *context), void *context);

/* The same with a buffer for a line, from which the longest name follows: RF_MAPS_BYTES are enough for any path. */
#define RF_MAPS_BYTES 4608U
bool rf_maps_each_in(char *buffer, size_t size, bool (*visit)(const rf_map *map, void *context), void *context);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_MAPS_H */
