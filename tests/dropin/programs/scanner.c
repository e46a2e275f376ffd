/* Reads each word of each private mapping that may be written, as a conservative collector or a checkpoint does. */
#include "expect.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 100, MOST = 1000 };

static char text[1 << 20];
static uintptr_t starts[MOST];
static uintptr_t ends[MOST];

static void read_maps(void) {
  int const file = open("/proc/self/maps", O_RDONLY);
  size_t length = 0;
  for (ssize_t got = 1; got > 0; length += (size_t)got) {
    got = read(file, text + length, sizeof text - 1 - length);
    EXPECT(got >= 0);
  }
  close(file);
}

static size_t find_mappings(void) {
  size_t count = 0;
  for (char *line = text; line != NULL && *line != '\0' && count < MOST; line = strchr(line, '\n')) {
    line += *line == '\n' ? 1 : 0;
    char *at;
    starts[count] = (uintptr_t)strtoull(line, &at, 16);
    ends[count] = *at == '-' ? (uintptr_t)strtoull(at + 1, &at, 16) : 0;
    count += strncmp(at, " rw-p", 5) == 0 ? 1 : 0;
  }
  return count;
}

static size_t count_words(size_t mappings, uintptr_t wanted) {
  size_t found = 0;
  for (size_t i = 0; i < mappings; i++) {
    for (uintptr_t at = starts[i]; at < ends[i]; at += sizeof wanted) {
      found += *(volatile uintptr_t *)at == wanted ? 1 : 0;
    }
  }
  return found;
}

int main(void) {
  static char *blocks[BLOCKS];
  for (size_t i = 0; i < BLOCKS; i++) {
    blocks[i] = malloc(i * 40 + 1);
  }
  for (size_t i = 0; i < BLOCKS; i += 2) {
    free(blocks[i]);
  }
  read_maps();
  EXPECT(count_words(find_mappings(), (uintptr_t)blocks[1]) > 0);
  for (size_t i = 1; i < BLOCKS; i += 2) {
    free(blocks[i]);
  }
  return expect_done();
}
