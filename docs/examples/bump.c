#include <ringfence/bump.h>
#include <stdio.h>
#include <string.h>

static unsigned char memory[256];

static char *joined(rf_bump *bump, const char *a, const char *b) {
  size_t const length = strlen(a) + strlen(b);
  char *const text = rf_bump_alloc(bump, length + 1, 1);
  if (text != NULL) {
    (void)snprintf(text, length + 1, "%s%s", a, b);
  }
  return text;
}

int main(void) {
  rf_bump bump;
  if (rf_bump_init(&bump, memory, sizeof memory, NULL) != RF_OK) {
    return 1;
  }
  const char *const root = joined(&bump, "/var", "/log");
  rf_bump_mark const mark = rf_bump_get_mark(&bump);
  for (int i = 0; i < 1000; i++) { /* 20 bytes each, of 256 */
    const char *const path = joined(&bump, root, "/message.log");
    if (path == NULL) {
      return 1;
    }
    (void)rf_bump_reset(&bump, mark);
  }
  printf("%s: %zu of %zu bytes in use\n", root, (size_t)(rf_bump_get_mark(&bump).next - memory), sizeof memory);
  return 0;
}
