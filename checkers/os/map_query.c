#define _GNU_SOURCE /* syscall */
#include "map_query.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As the kernel has it (linux/fs.h): headers of older systems have none. */
typedef struct query {
  uint64_t size;
  uint64_t flags;
  uint64_t address;
  uint64_t start;
  uint64_t end;
  uint64_t rights;
  uint64_t page_size;
  uint64_t offset;
  uint64_t inode;
  uint32_t major;
  uint32_t minor;
  uint32_t name_size;
  uint32_t build_id_size;
  uint64_t name;
  uint64_t build_id;
} query;

#define ASK _IOWR('f', 17, query)
#define EXECUTABLE 4U

rf_map_answer rf_map_query(int maps, uintptr_t address, rf_map_place *out, char *name, size_t size) {
  query q = {.size = sizeof q, .address = address, .name_size = (uint32_t)size, .name = (uintptr_t)name};
  if (name != NULL) {
    name[0] = '\0'; /* a mapping of no file leaves it */
  }
  /* Not ioctl, whose second parameter has another type with each C library. */
  if (syscall(SYS_ioctl, maps, ASK, &q) != 0) {
    return errno == ENOENT ? RF_MAP_NONE : RF_MAP_UNKNOWN;
  }
  *out = (rf_map_place){(uintptr_t)q.start,          (uintptr_t)q.end, q.offset, q.inode, q.major, q.minor,
                        (q.rights & EXECUTABLE) != 0};
  return RF_MAP_FOUND;
}
