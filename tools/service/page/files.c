/* The files beside the pages. The style begins with that of the HTML report: a finding looks the same in both. */
#include "tools/service/page/page.h"

#include <string.h>

static const char style[] =
#include "tools/ringfence/render/page/style.inc"
#include "tools/service/page/style.inc"
    ;
static const char script[] =
#include "tools/service/page/script.inc"
    ;
static const char icon[] =
#include "tools/service/page/icon.inc"
    ;

static const struct {
  const char *path;
  const char *type;
  const char *text;
  size_t length;
} files[] = {
    {"/style.css", "text/css; charset=utf-8", style, sizeof style - 1},
    {"/script.js", "text/javascript; charset=utf-8", script, sizeof script - 1},
    {"/favicon.svg", "image/svg+xml", icon, sizeof icon - 1},
};

const char *rf_page_file(const char *path, const char **type, size_t *length) {
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    if (strcmp(path, files[i].path) == 0) {
      *type = files[i].type;
      *length = files[i].length;
      return files[i].text;
    }
  }
  return NULL;
}
