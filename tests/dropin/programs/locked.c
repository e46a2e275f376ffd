/* Locks memory, and says what the system answers. argv: "blocks": pages of some blocks, which are freed, and their
 * memory asked for again, zeroed. "all", the argument of mlockall, and the limit in bytes for a process without rights
 * ("-": as the caller is): all that is mapped, or will be. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROOM ((rlim_t)8 << 20)

static size_t wrong;

static void fill(char **blocks, int count, size_t size) {
  for (int i = 0; i < count; i++) {
    blocks[i] = calloc(1, size);
    for (size_t at = 0; blocks[i] != NULL && at < size; at++) {
      wrong += blocks[i][at] != 0;
    }
    memset(blocks[i], 0xA5, size);
  }
}

static void empty(char **blocks, int count) {
  for (int i = 0; i < count; i++) {
    free(blocks[i]);
  }
}

/* One page in each sixteen of them: nobody may lock many. */
static void lock_blocks(void) {
  static char *blocks[200];
  fill(blocks, 200, 20000);
  for (int i = 0; i < 200; i += 16) {
    if (mlock(blocks[i] + 5000, 1) != 0) {
      puts("no lock");
    }
  }
  empty(blocks, 200);
  for (size_t size = 1000; size < 2000000; size *= 2) {
    fill(blocks, size < 100000 ? 30 : 6, size);
    empty(blocks, size < 100000 ? 30 : 6);
  }
  printf("wrong %zu\n", wrong);
}

static long kib_of(const char *key) {
  FILE *const file = fopen("/proc/self/status", "r");
  char line[256];
  long value = 0;
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, key, strlen(key)) == 0) {
      value = strtol(line + strlen(key), NULL, 10);
    }
  }
  if (file != NULL) {
    fclose(file);
  }
  return value;
}

/* Gives up all capabilities: one of them stands above the limit. False where that fails. */
static int be_limited(rlim_t most) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct const none[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};
  struct rlimit limit;
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
    return 0;
  }
  limit.rlim_cur = limit.rlim_max < most ? limit.rlim_max : most;
  limit.rlim_max = limit.rlim_cur;
  return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && syscall(SYS_capset, &header, none) == 0;
}

static void use_memory(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur >= ROOM) {
    char *const block = malloc((size_t)2 << 20);
    printf("block %d\n", block != NULL);
    free(block);
  }
}

static void lock_all(int flags) {
  errno = 77;
  int const result = mlockall(flags);
  printf("result %d, errno %d\n", result, errno);
  printf("locked now %d\n", (flags & MCL_CURRENT) != 0 && kib_of("VmLck:") != 0);
  printf("much is resident %d\n", kib_of("VmRSS:") > 40000);
  use_memory();
  printf("unlocked %d\n", munlockall());
  printf("locked %d\n", kib_of("VmLck:") != 0);
}

int main(int argc, char **argv) {
  if (argc == 2) {
    lock_blocks();
    return 0;
  }
  if (strcmp(argv[3], "-") != 0 && !be_limited(strtoul(argv[3], NULL, 10))) {
    return 3;
  }
  lock_all((int)strtol(argv[2], NULL, 10));
  return 0;
}
