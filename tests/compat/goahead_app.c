#include "goahead_app.h"

#include "goahead.h"
#include "uemf.h"

#define NEED(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      return __LINE__;                                                                                                 \
    }                                                                                                                  \
  } while (0)

static Alloc *qhead[MAX_CLASS];
static MemNotifier memNotifier;
static ssize notified;

static void on_failure(ssize size) {
  notified = size;
}

/* A function of the user's own with its own table of queues, in the words of the description of the allocator. */
static int class_of_size(int size, int *q) {
  int mask = (size == 0) ? 0 : (size - 1) >> SHIFT;
  for (*q = 0; mask; mask >>= 1) {
    *q = *q + 1;
  }
  return (int)((1U << (SHIFT + *q)) + sizeof(Alloc));
}

int short_names(void) {
  static char userBuf[16 * 1024];
  Alloc header = {.u.next = NULL, .flags = INTEGRITY};
  char *p;
  char *q;
  int klass;

  NEED(qhead[MAX_CLASS - 1] == NULL && MAX_CLASS == 13 && DEFAULT_MEM == 64 * 1024 && ROUND == 15);
  NEED((header.flags & INTEGRITY_MASK) == INTEGRITY && ROUNDUP4(13) == 16 && ROUNDUP4(16) == 16);
  NEED(MALLOCED == 0x80000000 && FILL_CHAR == 0x77 && FILL_WORD == 0x77777777 && USER_BUF == 2);
  NEED(class_of_size(65536, &klass) == (int)(65536 + sizeof(Alloc)) && klass == MAX_CLASS - 1);

  NEED(openAlloc(NULL, 0, USE_MALLOC) == 0);
  NEED((p = (char *)alloc(100)) != NULL);
  memset(p, FILL_CHAR, 100);
  NEED(wrealloc(p, 128) == p);
  NEED((q = wrealloc(p, 4000)) != NULL && q[99] == FILL_CHAR);
  NEED(wrealloc(q, 20) == q);
  wfree(q);
  NEED((p = walloc(102400)) != NULL); /* beyond the largest class */
  wfree(p);
  closeAlloc();

  memNotifier = on_failure;
  setMemNotifier(memNotifier);
  NEED(openAlloc(userBuf, sizeof userBuf, 0) == 0);
  NEED((p = alloc(1000)) >= userBuf && p < userBuf + sizeof userBuf);
  NEED(alloc(70000) == NULL && notified == 70000);
  NEED(alloc(-1) == NULL && notified == 70000);
  NEED(wrealloc(p, -1) == NULL && wrealloc(p, 0) == p);
  wfree(p);
  setMemNotifier(NULL);
  closeAlloc();
  return 0;
}

int walloc_names(void) {
  char *p;
  NEED(wopenAlloc(NULL, WEBS_DEFAULT_MEM, WEBS_USE_MALLOC) == 0);
  NEED((p = walloc(0)) != NULL);
  wfree(p);
  NEED((p = sclone("abc")) != NULL && strcmp(p, "abc") == 0);
  wfree(p);
  NEED((p = sclone(NULL)) != NULL && *p == '\0');
  NEED((p = wrealloc(p, 10)) != NULL);
  wfree(p);
  NEED((p = wdup("a\0b", 4)) != NULL && memcmp(p, "a\0b", 4) == 0);
  wfree(p);
  wfree(NULL);
  NEED((p = wrealloc(NULL, 5)) != NULL);
  wfree(p);
  wcloseAlloc();
  return 0;
}

int balloc_names(void) {
  char *p;
  NEED(bopen(NULL, (60 * 1024), B_USE_MALLOC) == 0);
  NEED((p = (char *)balloc(B_L, 10)) != NULL);
  NEED((p = brealloc(B_L, p, 300)) != NULL);
  bfree(B_L, p);
  NEED((p = bstrdup(B_L, "text")) != NULL && strcmp(p, "text") == 0);
  bfreeSafe(B_L, p);
  bclose();
  return 0;
}

int balloc_names_without_places(void) {
  char *p;
  NEED(bopen(NULL, B_DEFAULT_MEM, 0) == 0);
  NEED((p = balloc(10)) != NULL);
  NEED((p = brealloc(p, 300)) != NULL);
  bfree(p);
  NEED((p = bstrdup("text")) != NULL);
  bfreeSafe(p);
  bclose();
  return 0;
}

/* A table of places that grows, as code of GoAhead 2 has it. */
static int grow(B_ARGS_DEC, void ***table, int *places) {
  void **const larger = brealloc(B_ARGS, *table, (int)sizeof(void *) * (*places + 16));
  if (larger == NULL) {
    return -1;
  }
  memset(larger + *places, 0, sizeof(void *) * 16);
  *table = larger;
  *places += 16;
  return 0;
}

int uemf_names(void) {
  void **table = NULL;
  int places = 0;
  char_t *name;
  NEED(bopen(NULL, B_DEFAULT_MEM, B_USE_MALLOC) == 0);
  for (int i = 0; i < 200; i++) {
    if (i == places) {
      NEED(grow(B_L, &table, &places) == 0);
    }
    a_assert(table[i] == NULL);
    NEED((table[i] = gstrdup(B_L, T("entry"))) != NULL);
  }
  NEED((name = bstrdupA(B_L, table[199])) != NULL && strcmp(name, "entry") == 0);
  wvalid(name);
  wvalid(NULL);
  bfree(B_L, name);
  for (int i = 0; i < 200; i++) {
    bfree(B_L, table[i]);
  }
  bfree(B_L, table);
  bclose();
  return 0;
}

int galloc_names(void) {
  char *p;
  NEED(G_MAX_CLASS == 13 && G_DEFAULT_MEM == 64 * 1024 && sizeof(bType) == sizeof(WebsAlloc));
  NEED(gopenAlloc(NULL, 0, G_USE_MALLOC) == 0);
  NEED((p = galloc(100)) != NULL);
  NEED((p = grealloc(p, 100000)) != NULL);
  wvalid(p);
  gfree(p);
  NEED((p = gstrdup("text")) != NULL && strcmp(p, "text") == 0);
  gfree(p);
  NEED((p = gstrdupA("text")) != NULL);
  gfree(p);
  gcloseAlloc();
  return 0;
}
