/* uC/GUI's dynamic memory: one rf_handle_heap for the program. */
#define RINGFENCE_UCGUI_IMPL
#include <limits.h>
#include <ringfence/layout.h>
#include <ringfence/ucgui.h>
#include <string.h>

GUI_HEAP GUI_Heap;
static unsigned char the_table[RF_HANDLE_TABLE_BYTES(sizeof(GUI_HEAP), GUI_MAXBLOCKS)];

static rf_handle_heap the_heap;
static rf_handles *the_calls; /* the heap, or what is wrapped around it; NULL: none yet */
static unsigned the_holds;    /* of GUI_ALLOC_Lock */

static void *the_memory; /* assigned; NULL: GUI_Heap */
static uint32_t the_size;
static uint32_t the_average;
static int the_percentage = 100;

static rf_ucgui_wrap the_wrap;
static void *the_wrap_context;
static rf_handle_short_fn the_short;
static void *the_short_context;

/* ---- The heap ---- */

static rf_status make_heap(void) {
  rf_handle_options options;
  memset(&options, 0, sizeof options);
  options.align = (size_t)1 << GUI_BLOCK_ALIGN;
  options.average_block = the_average;
  if (the_memory != NULL) {
    return rf_handle_heap_init(&the_heap, the_memory, the_size, &options);
  }
  options.max_blocks = the_average == 0 ? GUI_MAXBLOCKS : 0;
  options.table = the_table;
  options.table_size = sizeof the_table;
  return rf_handle_heap_init(&the_heap, &GUI_Heap, sizeof GUI_Heap, &options);
}

rf_handles *rf_ucgui_handles(void) {
  if (the_calls == NULL && make_heap() == RF_OK) {
    rf_handle_heap_on_short(&the_heap, the_short, the_short_context);
    the_calls = the_wrap != NULL ? the_wrap(&the_heap.base, the_wrap_context) : &the_heap.base;
  }
  return the_calls;
}

static void end_heap(void) {
  if (the_calls != NULL) {
    rf_handle_deinit(the_calls);
  }
  the_calls = NULL;
  the_holds = 0;
}

void GUI_ALLOC_Init(void) {
  end_heap();
  (void)rf_ucgui_handles();
}

void GUI_ALLOC_Exit(void) {
  end_heap();
  the_memory = NULL;
  the_average = 0;
  the_percentage = 100;
}

static rf_handle_usage usage(void) {
  rf_handle_usage u;
  rf_handles *const calls = rf_ucgui_handles();
  memset(&u, 0, sizeof u);
  if (calls != NULL) {
    rf_handle_usage_get(calls, &u);
  }
  return u;
}

/* A heap with live blocks cannot be replaced. */
static bool may_change(const void *p) {
  if (the_calls != NULL && usage().used_blocks != 0) {
    (void)rf_fault_refuse(NULL, RF_ERR_BUSY, "the heap is in use", p, NULL);
    return false;
  }
  end_heap();
  return true;
}

void GUI_ALLOC_AssignMemory(void *p, uint32_t NumBytes) {
  if (may_change(p)) {
    the_memory = p;
    the_size = NumBytes;
  }
}

void GUI_ALLOC_SetAvBlockSize(uint32_t BlockSize) {
  if (may_change(NULL)) {
    the_average = BlockSize;
  }
}

void rf_ucgui_wrap_set(rf_ucgui_wrap wrap, void *context) {
  the_wrap = wrap;
  the_wrap_context = context;
}

void rf_ucgui_on_short(rf_handle_short_fn fn, void *context) {
  the_short = fn;
  the_short_context = context;
  if (the_calls != NULL) {
    rf_handle_heap_on_short(&the_heap, fn, context);
  }
}

/* ---- Blocks ---- */

GUI_HMEM rf_ucgui_alloc_at(int32_t size, unsigned flags, const rf_site *site) {
  rf_handles *const calls = rf_ucgui_handles();
  if (calls == NULL) {
    return GUI_HMEM_NULL;
  }
  unsigned const stay = the_holds != 0 ? RF_HANDLE_STAY : 0;
  /* A negative size becomes one that no heap has, and that checkers report. */
  return (GUI_HMEM)rf_handle_alloc_at(calls, (size_t)(ptrdiff_t)size, flags | stay, site);
}

GUI_HMEM rf_ucgui_alloc_init_at(const void *data, int32_t size, const rf_site *site) {
  GUI_HMEM const handle = rf_ucgui_alloc_at(size, RF_HANDLE_NO_ZERO, site);
  if (handle != GUI_HMEM_NULL) {
    memcpy(rf_handle_address_at(the_calls, (rf_handle)handle, site), data, (size_t)size);
  }
  return handle;
}

/* Fails rather than move the block. */
static rf_status resize_in_place(rf_handles *calls, rf_handle handle, size_t size, const rf_site *site) {
  if (rf_handle_lock_at(calls, handle, site) == NULL) {
    return RF_ERR_INVALID;
  }
  rf_status const status = rf_handle_realloc_at(calls, handle, size, site);
  (void)rf_handle_unlock_at(calls, handle, site);
  return status;
}

GUI_HMEM rf_ucgui_realloc_at(GUI_HMEM old, int32_t size, const rf_site *site) {
  rf_handles *const calls = rf_ucgui_handles();
  if (old == GUI_HMEM_NULL) {
    return rf_ucgui_alloc_at(size, 0, site);
  }
  if (calls == NULL) {
    return GUI_HMEM_NULL;
  }
  size_t const bytes = (size_t)(ptrdiff_t)size;
  rf_status const status = the_holds != 0 ? resize_in_place(calls, (rf_handle)old, bytes, site)
                                          : rf_handle_realloc_at(calls, (rf_handle)old, bytes, site);
  return status == RF_OK ? old : GUI_HMEM_NULL;
}

void rf_ucgui_free_at(GUI_HMEM handle, const rf_site *site) {
  rf_handles *const calls = rf_ucgui_handles();
  if (calls != NULL) {
    (void)rf_handle_free_at(calls, (rf_handle)handle, site);
  }
}

void rf_ucgui_free_ptr_at(GUI_HMEM *handle, const rf_site *site) {
  rf_handles *const calls = rf_ucgui_handles();
  if (calls != NULL && rf_handle_free_at(calls, (rf_handle)*handle, site) == RF_OK) {
    *handle = GUI_HMEM_NULL;
  }
}

void *rf_ucgui_address_at(GUI_HMEM handle, const rf_site *site) {
  rf_handles *const calls = rf_ucgui_handles();
  return calls != NULL ? rf_handle_address_at(calls, (rf_handle)handle, site) : NULL;
}

void *rf_ucgui_lock_at(GUI_HMEM handle, const rf_site *site) {
  rf_handles *const calls = rf_ucgui_handles();
  return calls != NULL ? rf_handle_lock_at(calls, (rf_handle)handle, site) : NULL;
}

void rf_ucgui_unlock_at(const void *p, const rf_site *site) {
  rf_handles *const calls = rf_ucgui_handles();
  rf_handle const handle = calls != NULL ? rf_handle_find(calls, p) : RF_HANDLE_NULL;
  if (handle != RF_HANDLE_NULL) {
    (void)rf_handle_unlock_at(calls, handle, site);
  } else if (p != NULL) {
    (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "unlock of what is no block", p, site);
  }
}

void *rf_ucgui_fixed_at(int32_t size, const rf_site *site) {
  GUI_HMEM const handle = rf_ucgui_alloc_at(size, 0, site);
  return handle != GUI_HMEM_NULL ? rf_handle_lock_at(the_calls, (rf_handle)handle, site) : NULL;
}

void rf_ucgui_free_fixed_at(void *p, const rf_site *site) {
  rf_handles *const calls = rf_ucgui_handles();
  rf_handle const handle = calls != NULL ? rf_handle_find(calls, p) : RF_HANDLE_NULL;
  if (handle == RF_HANDLE_NULL) {
    if (p != NULL) {
      (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "free of what is no block", p, site);
    }
  } else if (rf_handle_unlock_at(calls, handle, site) == RF_OK) {
    (void)rf_handle_free_at(calls, handle, site);
  }
}

GUI_HMEM GUI_ALLOC_Alloc(int size) {
  return rf_ucgui_alloc_at(size, 0, NULL);
}

GUI_HMEM GUI_ALLOC_AllocZero(GUI_ALLOC_DATATYPE size) {
  return rf_ucgui_alloc_at(size, 0, NULL);
}

GUI_HMEM GUI_ALLOC_AllocNoInit(GUI_ALLOC_DATATYPE size) {
  return rf_ucgui_alloc_at(size, RF_HANDLE_NO_ZERO, NULL);
}

GUI_HMEM GUI_ALLOC_AllocInit(const void *pInitData, GUI_ALLOC_DATATYPE size) {
  return rf_ucgui_alloc_init_at(pInitData, size, NULL);
}

GUI_HMEM GUI_ALLOC_Realloc(GUI_HMEM hOld, int NewSize) {
  return rf_ucgui_realloc_at(hOld, NewSize, NULL);
}

void GUI_ALLOC_Free(GUI_HMEM hMem) {
  rf_ucgui_free_at(hMem, NULL);
}

void GUI_ALLOC_FreePtr(GUI_HMEM *phMem) {
  rf_ucgui_free_ptr_at(phMem, NULL);
}

void GUI_ALLOC_FreePtrArray(GUI_HMEM *pArray, int NumElems) {
  for (int i = 0; i < NumElems; i++) {
    rf_ucgui_free_ptr_at(&pArray[i], NULL);
  }
}

void *GUI_ALLOC_h2p(GUI_HMEM hMem) {
  return rf_ucgui_address_at(hMem, NULL);
}

GUI_HMEM GUI_ALLOC_p2h(void *p) {
  rf_handles *const calls = rf_ucgui_handles();
  return calls != NULL ? (GUI_HMEM)rf_handle_find(calls, p) : GUI_HMEM_NULL;
}

void *GUI_ALLOC_LockH(GUI_HMEM hMem) {
  return rf_ucgui_lock_at(hMem, NULL);
}

void *GUI_ALLOC_UnlockH(void **pp) {
  rf_ucgui_unlock_at(*pp, NULL);
  *pp = NULL;
  return NULL;
}

void *GUI_ALLOC_GetFixedBlock(GUI_ALLOC_DATATYPE Size) {
  return rf_ucgui_fixed_at(Size, NULL);
}

void GUI_ALLOC_FreeFixedBlock(void *p) {
  rf_ucgui_free_fixed_at(p, NULL);
}

void GUI_ALLOC_Lock(void) {
  the_holds++;
}

void GUI_ALLOC_Unlock(void) {
  if (the_holds == 0) {
    (void)rf_fault_refuse(NULL, RF_ERR_INVALID, "GUI_ALLOC_Unlock without GUI_ALLOC_Lock", NULL, NULL);
    return;
  }
  the_holds--;
}

/* ---- Figures ---- */

static int clip(size_t n) {
  return n < INT_MAX ? (int)n : INT_MAX;
}

static uint32_t clip_unsigned(size_t n) {
  return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

GUI_ALLOC_DATATYPE GUI_ALLOC_GetSize(GUI_HMEM hMem) {
  rf_handles *const calls = rf_ucgui_handles();
  return calls != NULL ? clip(rf_handle_size_at(calls, (rf_handle)hMem, NULL)) : 0;
}

int GUI_ALLOC_GetUsed(void) {
  return clip(usage().used_bytes);
}

int GUI_GetUsedMem(void) {
  return GUI_ALLOC_GetUsed();
}

GUI_ALLOC_DATATYPE GUI_ALLOC_GetNumUsedBytes(void) {
  return GUI_ALLOC_GetUsed();
}

GUI_ALLOC_DATATYPE GUI_ALLOC_GetMaxUsedBytes(void) {
  return clip(usage().peak_bytes);
}

GUI_ALLOC_DATATYPE GUI_ALLOC_GetNumFreeBytes(void) {
  return clip(usage().free_bytes);
}

GUI_ALLOC_DATATYPE GUI_ALLOC_GetMaxSize(void) {
  return clip(usage().largest);
}

GUI_ALLOC_DATATYPE GUI_ALLOC_RequestSize(void) {
  return (GUI_ALLOC_DATATYPE)((int64_t)GUI_ALLOC_GetMaxSize() * the_percentage / 100);
}

int GUI_ALLOC_SetMaxPercentage(int MaxPercentage) {
  int const before = the_percentage;
  if (MaxPercentage >= 1 && MaxPercentage <= 100) {
    the_percentage = MaxPercentage;
  }
  return before;
}

GUI_ALLOC_DATATYPE GUI_ALLOC_GetNumUsedBlocks(void) {
  return clip(usage().used_blocks);
}

GUI_ALLOC_DATATYPE GUI_ALLOC_GetNumFreeBlocks(void) {
  return clip(usage().free_blocks);
}

const rf_ucgui_figures *rf_ucgui_figures_get(void) {
  static rf_ucgui_figures figures;
  rf_handle_usage const u = usage();
  figures.NumUsedBlocks = clip(u.used_blocks);
  figures.NumFreeBlocks = clip(u.free_blocks);
  figures.NumFreeBlocksMin = clip(u.min_free_blocks);
  figures.NumUsedBytes = clip(u.used_bytes);
  figures.NumFreeBytes = clip(u.free_bytes);
  figures.NumFreeBytesMin = clip(u.min_free_bytes);
  return &figures;
}

void GUI_ALLOC_GetMemInfo(GUI_ALLOC_INFO *pInfo) {
  rf_handle_usage const u = usage();
  size_t const managed = u.used_bytes + u.stats.free_bytes;
  pInfo->TotalBytes = clip_unsigned(managed);
  pInfo->FreeBytes = clip_unsigned(u.free_bytes);
  pInfo->UsedBytes = clip_unsigned(u.used_bytes);
  pInfo->AllocSize = clip_unsigned(u.stats.capacity);
  pInfo->NumFixedBytes = clip_unsigned(u.stats.capacity - managed);
  pInfo->MaxUsedBytes = clip_unsigned(u.peak_bytes);
}
