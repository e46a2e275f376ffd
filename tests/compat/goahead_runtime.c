/* A program that links GoAhead's runtime, which has an sclone of its own. */
#define RF_GOAHEAD_NO_SCLONE
#include "goahead_runtime.h"

#include "goahead.h"

static int the_clones;

PUBLIC char *sclone(char *str);

PUBLIC char *sclone(char *str) {
  the_clones++;
  return (char *)wdup(str, strlen(str) + 1);
}

int own_clones(void) {
  static char text[] = "text";
  char *p = sclone(text);
  wfree(p);
  p = bstrdup(B_L, text);
  wfree(p);
  return the_clones;
}
