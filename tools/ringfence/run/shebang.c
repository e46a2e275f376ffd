#include "tools/ringfence/run/shebang.h"

#include "tools/ringfence/base/paths.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Linux reads this much of the first line (BINPRM_BUF_SIZE). */
enum { FIRST_LINE = 256 };

static bool read_first_line(const char *path, char line[FIRST_LINE]) {
  int const fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    return false;
  }
  ssize_t const length = read(fd, line, FIRST_LINE - 1);
  (void)close(fd);
  line[length < 0 ? 0 : length] = '\0';
  line[strcspn(line, "\n")] = '\0';
  return true;
}

/* Splits the next word off *rest; NULL at the end. To Linux a carriage return is a letter as any other. */
static char *next_word(char **rest) {
  char *const word = *rest + strspn(*rest, " \t");
  size_t const length = strcspn(word, " \t");
  *rest = word + length + (word[length] != '\0');
  word[length] = '\0';
  return length == 0 ? NULL : word;
}

static bool is_env(const char *path) {
  return strcmp(rf_base_name(path), "env") == 0;
}

const char *rf_shebang_interpreter(rf_bump_arena *arena, const char *path) {
  char line[FIRST_LINE];
  if (!read_first_line(path, line) || line[0] != '#' || line[1] != '!') {
    return NULL;
  }
  char *rest = line + 2;
  const char *const interpreter = next_word(&rest);
  if (interpreter == NULL) {
    return NULL;
  }
  const char *word = is_env(interpreter) ? next_word(&rest) : NULL;
  while (word != NULL && (word[0] == '-' || strchr(word, '=') != NULL)) {
    word = next_word(&rest);
  }
  const char *const found = word == NULL || strchr(word, '/') != NULL ? word : rf_paths_in_path(arena, word);
  const char *const result = found != NULL ? found : interpreter;
  return rf_bump_arena_copy(arena, result);
}
