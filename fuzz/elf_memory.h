/* A harness of readers of ELF files spends most of its time in the system, and a file that is mapped goes on behind its
 * end, to that of the page. With this library the linker puts a file in memory in its place; the harness says what lies
 * there, and sees what was asked for. A build without it reads files of the system. */
#ifndef RINGFENCE_FUZZ_ELF_MEMORY_H
#define RINGFENCE_FUZZ_ELF_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The file. All others are asked for in vain, but one. */
#define RF_ELF_PATH "/made/program"
#define RF_ELF_PATHS 16U
#define RF_ELF_PATH_BYTES 1100U

typedef struct rf_elf_memory {
  const unsigned char *bytes;
  size_t size;
  size_t announced; /* the size by its status: a file may shrink */
  size_t piece;     /* the most that one read gives */
  bool interrupted; /* each second read is */
  unsigned present; /* the number of the other file that is there, which has `other` in it; 0 is none */
  const void *other;
  size_t other_size;
  const void *segments; /* what the kernel tells the process of its own headers */
  unsigned segment_count;

  unsigned others;                             /* other files that were asked for */
  char paths[RF_ELF_PATHS][RF_ELF_PATH_BYTES]; /* the first of them, their ends cut off */
  unsigned open;                               /* files, and mappings of them */
  size_t read;                                 /* bytes, since the harness set it to 0 */
  size_t taken;                                /* memory of arenas, likewise */
} rf_elf_memory;

extern rf_elf_memory rf_elf_file;

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_FUZZ_ELF_MEMORY_H */
