/* GoAhead's allocator: one rf_sizeclass for the program, opened and closed by count. */
#define RINGFENCE_GOAHEAD_IMPL
#include <ringfence/default.h>
#include <ringfence/goahead.h>

#include "../shared.h"

/* Call sites in the statistics of bstats. */
#define SITES 64

static int the_opens;
static rf_sizeclass the_heap;
static rf_allocator *the_calls; /* the heap or what is wrapped around it; NULL: not open */
static void *the_buffer;        /* from malloc; NULL: the caller's */
static rf_sizeclass_site the_sites[SITES];

static WebsMemNotifier the_notifier;
static rf_goahead_wrap the_wrap;
static void *the_wrap_context;

/* ---- The fallback allocator ---- */

static rf_allocator *given_malloc;  /* by rf_goahead_malloc_set */
static rf_allocator *opened_malloc; /* with which the heap was opened */

#if RF_HAS_STD_MALLOC

static rf_std the_malloc;

static rf_allocator *default_malloc(void) {
  return rf_std_init(&the_malloc) == RF_OK ? &the_malloc.base : NULL;
}

#else

static rf_allocator *default_malloc(void) {
  return NULL;
}

#endif

void rf_goahead_malloc_set(rf_allocator *allocator) {
  given_malloc = allocator;
}

/* ---- Opening and closing ---- */

static int open_heap(void *buf, size_t size, int flags) {
  opened_malloc = given_malloc != NULL ? given_malloc : default_malloc();
  the_buffer = NULL;
  if (buf == NULL) {
    the_buffer = opened_malloc != NULL ? rf_alloc(opened_malloc, size) : NULL;
    buf = the_buffer;
  }
  rf_allocator *const fallback = (flags & WEBS_USE_MALLOC) != 0 ? opened_malloc : NULL;
  if (buf == NULL || rf_sizeclass_init(&the_heap, buf, size, fallback) != RF_OK) {
    if (the_buffer != NULL) {
      (void)rf_free(opened_malloc, the_buffer);
    }
    return -1;
  }
  (void)rf_sizeclass_track_sites(&the_heap, the_sites, SITES); /* cannot fail: the heap is empty */
  the_calls = the_wrap != NULL ? the_wrap(&the_heap.base, the_wrap_context) : &the_heap.base;
  return 0;
}

static void close_heap(void) {
  if (the_calls == &the_heap.base) {
    (void)rf_sizeclass_print_live(&the_heap, &RF_COMPAT_LOG);
  }
  rf_deinit(the_calls);
  the_calls = NULL;
  if (the_buffer != NULL) {
    (void)rf_free(opened_malloc, the_buffer);
  }
}

int wopenAlloc(void *buf, int bufsize, int flags) {
  if (the_opens == 0) {
    size_t const size = bufsize == 0 && buf == NULL ? RF_SIZECLASS_DEFAULT_BUFFER : (size_t)bufsize;
    if (bufsize < 0 || open_heap(buf, size, flags) != 0) {
      return -1;
    }
  }
  the_opens++;
  return 0;
}

void wcloseAlloc(void) {
  if (the_opens != 0 && --the_opens == 0) {
    close_heap();
  }
}

void rf_goahead_wrap_set(rf_goahead_wrap wrap, void *context) {
  the_wrap = wrap;
  the_wrap_context = context;
}

rf_allocator *rf_goahead_allocator(void) {
  return the_calls;
}

void websSetMemNotifier(WebsMemNotifier cback) {
  the_notifier = cback;
}

/* ---- Blocks ---- */

/* The heap or its checker, opened with the defaults if the program has not; NULL where that fails. */
static rf_allocator *opened(void) {
  if (the_opens == 0) {
    (void)wopenAlloc(NULL, WEBS_DEFAULT_MEM, 0);
  }
  return the_calls;
}

/* Tells the notifier of a request that failed. */
static void *notify_failure(void *p, ssize size) {
  if (p == NULL && the_notifier != NULL) {
    the_notifier(size);
  }
  return p;
}

void *rf_goahead_alloc_at(ssize size, const rf_site *site) {
  rf_allocator *const calls = opened();
  if (calls == NULL || size < 0) {
    return NULL;
  }
  if (size > RF_GOAHEAD_LARGEST) {
    return notify_failure(NULL, size);
  }
  return notify_failure(rf_alloc_at(calls, (size_t)size, RF_ALIGN_DEFAULT, site), size);
}

static void refuse(const void *mp, const rf_site *site) {
  (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "the heap is not open", mp, site);
}

void rf_goahead_free_at(void *mp, const rf_site *site) {
  if (mp != NULL && the_calls == NULL) {
    refuse(mp, site);
  } else if (mp != NULL) {
    (void)rf_free_at(the_calls, mp, site);
  }
}

void *rf_goahead_realloc_at(void *mp, ssize newsize, const rf_site *site) {
  if (mp == NULL) {
    return rf_goahead_alloc_at(newsize, site);
  }
  if (the_calls == NULL) {
    refuse(mp, site);
    return NULL;
  }
  if (newsize < 0) {
    return NULL;
  }
  if (newsize > RF_GOAHEAD_LARGEST) {
    return notify_failure(NULL, newsize);
  }
  size_t const size = newsize == 0 ? 1 : (size_t)newsize;
  return notify_failure(rf_realloc_at(the_calls, mp, size, RF_ALIGN_DEFAULT, site), newsize);
}

void *rf_goahead_dup_at(cvoid *ptr, size_t usize, const rf_site *site) {
  if (usize > RF_SIZE_LIMIT) {
    return NULL;
  }
  void *const copy = rf_goahead_alloc_at((ssize)usize, site);
  if (copy != NULL && usize != 0) {
    memcpy(copy, ptr, usize);
  }
  return copy;
}

typedef struct search {
  cvoid *ptr;
  bool found;
} search;

static bool match_block(const rf_block *block, void *context) {
  search *const s = (search *)context;
  s->found = block->used && block->ptr == s->ptr;
  return !s->found;
}

void rf_goahead_valid_at(cvoid *mp, const rf_site *site) {
  search s = {mp, mp == NULL};
  if (!s.found && the_calls != NULL) {
    (void)rf_walk(the_calls, match_block, &s);
  }
  if (!s.found) {
    (void)rf_fault_refuse(the_calls, RF_ERR_BAD_POINTER, "not a live block", mp, site);
  }
}

char *rf_goahead_sclone_at(const char *str, const rf_site *site) {
  const char *const text = str != NULL ? str : "";
  return (char *)rf_goahead_dup_at(text, strlen(text) + 1, site);
}

void *walloc(ssize size) {
  return rf_goahead_alloc_at(size, NULL);
}

void wfree(void *mp) {
  rf_goahead_free_at(mp, NULL);
}

void *wrealloc(void *mp, ssize newsize) {
  return rf_goahead_realloc_at(mp, newsize, NULL);
}

/* Weak: GoAhead's runtime may bring its own. */
__attribute__((weak)) char *sclone(const char *str) {
  return rf_goahead_sclone_at(str, NULL);
}

void *wdup(cvoid *ptr, size_t usize) {
  return rf_goahead_dup_at(ptr, usize, NULL);
}

void wvalid(cvoid *mp) {
  rf_goahead_valid_at(mp, NULL);
}

/* ---- Statistics ---- */

typedef struct writer {
  int handle;
  void (*writefn)(int handle, char *fmt, ...);
} writer;

static void write_text(void *context, const char *text, size_t len) {
  static char format[] = "%.*s";
  const writer *const w = (const writer *)context;
  w->writefn(w->handle, format, (int)len, text);
}

void bstats(int handle, void (*writefn)(int handle, char *fmt, ...)) {
  writer w = {handle, writefn};
  rf_sink const sink = {write_text, &w};
  if (the_calls != NULL) {
    rf_sizeclass_print(&the_heap, writefn != NULL ? &sink : &RF_COMPAT_LOG);
  }
}

/* ---- Short names ---- */

int openAlloc(void *buf, int bufsize, int flags) {
  return wopenAlloc(buf, bufsize, flags);
}

void closeAlloc(void) {
  wcloseAlloc();
}

void *alloc(int size) {
  return walloc(size);
}

void setMemNotifier(MemNotifier cback) {
  websSetMemNotifier(cback);
}
