/* uC/GUI's dynamic memory (GUI_ALLOC_*) over Ringfence: code that was written for it, or for the calls of emWin that go
 * by the same names, compiles unchanged, and can be checked on a host.
 *
 *     GUI_HMEM hText = GUI_ALLOC_AllocZero(100);
 *     char *p = (char *)GUI_LOCK_H(hText);
 *     GUI_UNLOCK_H(p);
 *     GUI_ALLOC_Free(hText);
 *
 * Include this as <ringfence/ucgui.h>, or add //lib/compat:ucgui_paths to a target and include "GUI.h" as ever:
 * GUI_ALLOC_SIZE, 12500 bytes unless the library is built with another value, are there from the first call on;
 * GUI_ALLOC_AssignMemory puts other memory in their place. The work is done by rf_handle_heap.
 *
 * Handles are positive, 1, 2, 3, … in a fresh heap; those of later generations are larger: keep them in a GUI_HMEM, not
 * in 8 or 16 bits. All bytes reported free can be allocated; a size of 0 or less gives handle 0; a stale handle is
 * refused and reported.
 *
 * Threads and interrupts: none may call while another does. There is one heap for the program.
 *
 * In code that is built with sites (RF_SITES=1) the calls pass on where they were made. */
#ifndef RINGFENCE_UCGUI_H
#define RINGFENCE_UCGUI_H

#include <ringfence/handle.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef RF_UCGUI_NO_TYPES
typedef int8_t I8;
typedef uint8_t U8;
typedef int16_t I16;
typedef uint16_t U16;
typedef int32_t I32;
typedef uint32_t U32;
#endif

typedef int32_t GUI_HMEM;
typedef int32_t GUI_ALLOC_DATATYPE;
typedef uint32_t GUI_ALLOC_DATATYPE_U;

#define GUI_HMEM_NULL 0

#ifndef GUI_ALLOC_SIZE
#define GUI_ALLOC_SIZE 12500
#endif
#ifndef GUI_BLOCK_ALIGN
#define GUI_BLOCK_ALIGN 2 /* blocks are multiples of 1 << 2 bytes */
#endif
#ifndef GUI_MAXBLOCKS
#define GUI_MAXBLOCKS (2 + GUI_ALLOC_SIZE / 32)
#endif
#ifndef GUI_ALLOC_AUTDEFRAG
#define GUI_ALLOC_AUTDEFRAG 1 /* a request that finds no hole compacts; always so */
#endif

/* Types by which the manual describes the heap's own table. Ours is another: nothing is to be read through these. */
#ifndef RF_UCGUI_NO_TYPES
#if GUI_ALLOC_SIZE < 32767
typedef I16 tALLOCINT;
#else
typedef I32 tALLOCINT;
#endif
#if GUI_MAXBLOCKS >= 256
typedef U16 HANDLE;
#else
typedef U8 HANDLE;
#endif
typedef struct {
  tALLOCINT Off;
  tALLOCINT Size;
  HANDLE Next;
  HANDLE Prev;
} tBlock;
#endif

typedef union {
  int aintHeap[GUI_ALLOC_SIZE / 4];
  uint8_t abHeap[GUI_ALLOC_SIZE];
} GUI_HEAP;

extern GUI_HEAP GUI_Heap; /* to look at with a debugger */

/* ---- Memory ---- */

/* Begins anew with an empty heap: what was allocated is gone. The first call that needs a heap does this where nobody
 * has. */
void GUI_ALLOC_Init(void);

/* Ends the heap; the next call that needs one begins anew, with GUI_Heap. */
void GUI_ALLOC_Exit(void);

/* From the next init on the heap is in the `NumBytes` bytes at `p`, the caller's: blocks, and the table of blocks.
 * Refused and reported while blocks are live. */
void GUI_ALLOC_AssignMemory(void *p, uint32_t NumBytes);

/* How large a block is on average: so the table of assigned memory has a place per `BlockSize` bytes (32). Before the
 * first block is allocated. */
void GUI_ALLOC_SetAvBlockSize(uint32_t BlockSize);

/* ---- Blocks ---- */

/* A new block, its contents zero (Alloc, AllocZero), indeterminate (AllocNoInit), or copied from `pInitData`
 * (AllocInit). 0 for sizes of 0 or less, and where there is no memory even after compaction. */
GUI_HMEM GUI_ALLOC_Alloc(int size);
GUI_HMEM GUI_ALLOC_AllocZero(GUI_ALLOC_DATATYPE size);
GUI_HMEM GUI_ALLOC_AllocNoInit(GUI_ALLOC_DATATYPE size);
GUI_HMEM GUI_ALLOC_AllocInit(const void *pInitData, GUI_ALLOC_DATATYPE size);

/* Another size for the block, its contents kept, what is new zeroed: `hOld` again, and for handle 0 a new block; 0, and
 * the block as it was, where that cannot be. */
GUI_HMEM GUI_ALLOC_Realloc(GUI_HMEM hOld, int NewSize);

/* Give blocks back: one; one, its handle set to 0; several likewise. Handle 0 is passed over; what is no block, or is
 * locked, is refused and reported. */
void GUI_ALLOC_Free(GUI_HMEM hMem);
void GUI_ALLOC_FreePtr(GUI_HMEM *phMem);
void GUI_ALLOC_FreePtrArray(GUI_HMEM *pArray, int NumElems);

/* The block's address, good until the next call that allocates; NULL for handle 0 and a handle that is refused. And the
 * handle of an address. */
void *GUI_ALLOC_h2p(GUI_HMEM hMem);
GUI_HMEM GUI_ALLOC_p2h(void *p);

/* The block's address, good until the block is unlocked as often as it was locked. UnlockH takes the address of that
 * pointer, sets the pointer to NULL, and returns NULL. */
void *GUI_ALLOC_LockH(GUI_HMEM hMem);
void *GUI_ALLOC_UnlockH(void **pp);

/* The address of a new block of `Size` zeroed bytes, locked from the start, so that it stays there until it is freed by
 * that address. NULL where GUI_ALLOC_AllocZero gives handle 0. GUI_ALLOC_FreeFixedBlock does nothing with NULL; another
 * pointer that is no such block is refused and reported. */
void *GUI_ALLOC_GetFixedBlock(GUI_ALLOC_DATATYPE Size);
void GUI_ALLOC_FreeFixedBlock(void *p);

/* In between no block moves, locked or not: nothing is compacted, and a block grows where it is or not at all. They
 * nest. */
void GUI_ALLOC_Lock(void);
void GUI_ALLOC_Unlock(void);

/* ---- Figures ---- */

GUI_ALLOC_DATATYPE GUI_ALLOC_GetSize(GUI_HMEM hMem); /* as it was asked for */
int GUI_ALLOC_GetUsed(void);                         /* bytes in blocks, as are the next two */
int GUI_GetUsedMem(void);
GUI_ALLOC_DATATYPE GUI_ALLOC_GetNumUsedBytes(void);
GUI_ALLOC_DATATYPE GUI_ALLOC_GetMaxUsedBytes(void); /* at most so far */
GUI_ALLOC_DATATYPE GUI_ALLOC_GetNumFreeBytes(void); /* all can be had; 0 where no handle is left */
GUI_ALLOC_DATATYPE GUI_ALLOC_GetMaxSize(void);      /* the largest block that can be had */
/* RequestSize: the most that a caller should ask for in one request, a percentage of GUI_ALLOC_GetMaxSize.
 * SetMaxPercentage sets that percentage, 100 at first, to a number from 1 to 100, and returns the one before; other
 * numbers change nothing. */
GUI_ALLOC_DATATYPE GUI_ALLOC_RequestSize(void);
int GUI_ALLOC_SetMaxPercentage(int MaxPercentage);
GUI_ALLOC_DATATYPE GUI_ALLOC_GetNumUsedBlocks(void);
GUI_ALLOC_DATATYPE GUI_ALLOC_GetNumFreeBlocks(void);

typedef struct {
  uint32_t TotalBytes; /* under management */
  uint32_t FreeBytes;
  uint32_t UsedBytes;
  uint32_t AllocSize;     /* assigned, the table included */
  uint32_t NumFixedBytes; /* of these, the table and what else is never free */
  uint32_t MaxUsedBytes;
} GUI_ALLOC_INFO;

void GUI_ALLOC_GetMemInfo(GUI_ALLOC_INFO *pInfo);

/* The public struct of figures: each use of its name brings it up to date. For reading. */
typedef struct {
  int NumUsedBlocks;
  int NumFreeBlocks;
  int NumFreeBlocksMin; /* fewest so far */
  int32_t NumUsedBytes;
  int32_t NumFreeBytes;
  int32_t NumFreeBytesMin;
} rf_ucgui_figures;

const rf_ucgui_figures *rf_ucgui_figures_get(void);
#define GUI_ALLOC (*rf_ucgui_figures_get())

/* ---- Macros ---- */

#if !defined(GUI_ALLOC_ALLOC)
#define GUI_ALLOC_ALLOC(size) GUI_ALLOC_Alloc(size)
#define GUI_ALLOC_H2P(h) GUI_ALLOC_h2p(h)
#define GUI_ALLOC_FREE(handle) GUI_ALLOC_Free(handle)
#define GUI_ALLOC_LOCK(handle) GUI_ALLOC_h2p(handle)
#define GUI_ALLOC_UNLOCK(handle)
#endif

#define GUI_LOCK_H(hMem) GUI_ALLOC_LockH(hMem)
#define GUI_UNLOCK_H(pMem) (rf_ucgui_unlock_at((pMem), RF_HERE), (pMem) = NULL)

/* ---- Additions ---- */

/* Puts a checker around the heap from the next init on: `wrap` is handed the heap and returns what the calls are to use
 * instead. NULL: none. */
typedef rf_handles *(*rf_ucgui_wrap)(rf_handles *heap, void *context);
void rf_ucgui_wrap_set(rf_ucgui_wrap wrap, void *context);

/* The heap or the checker around it, made if there is none yet; NULL where that fails. */
rf_handles *rf_ucgui_handles(void);

/* From now on `fn` (NULL: nobody) is asked when memory is short. */
void rf_ucgui_on_short(rf_handle_short_fn fn, void *context);

GUI_HMEM rf_ucgui_alloc_at(int32_t size, unsigned flags, const rf_site *site);
GUI_HMEM rf_ucgui_alloc_init_at(const void *data, int32_t size, const rf_site *site);
GUI_HMEM rf_ucgui_realloc_at(GUI_HMEM old, int32_t size, const rf_site *site);
void rf_ucgui_free_at(GUI_HMEM handle, const rf_site *site);
void rf_ucgui_free_ptr_at(GUI_HMEM *handle, const rf_site *site);
void *rf_ucgui_address_at(GUI_HMEM handle, const rf_site *site);
void *rf_ucgui_lock_at(GUI_HMEM handle, const rf_site *site);
void rf_ucgui_unlock_at(const void *p, const rf_site *site);
void *rf_ucgui_fixed_at(int32_t size, const rf_site *site);
void rf_ucgui_free_fixed_at(void *p, const rf_site *site);

#if RF_SITES && !defined(RINGFENCE_UCGUI_IMPL)
#define GUI_ALLOC_Alloc(size) rf_ucgui_alloc_at((size), 0, RF_HERE)
#define GUI_ALLOC_AllocZero(size) rf_ucgui_alloc_at((size), 0, RF_HERE)
#define GUI_ALLOC_AllocNoInit(size) rf_ucgui_alloc_at((size), RF_HANDLE_NO_ZERO, RF_HERE)
#define GUI_ALLOC_AllocInit(pInitData, size) rf_ucgui_alloc_init_at((pInitData), (size), RF_HERE)
#define GUI_ALLOC_Realloc(hOld, NewSize) rf_ucgui_realloc_at((hOld), (NewSize), RF_HERE)
#define GUI_ALLOC_Free(hMem) rf_ucgui_free_at((hMem), RF_HERE)
#define GUI_ALLOC_FreePtr(phMem) rf_ucgui_free_ptr_at((phMem), RF_HERE)
#define GUI_ALLOC_h2p(hMem) rf_ucgui_address_at((hMem), RF_HERE)
#define GUI_ALLOC_LockH(hMem) rf_ucgui_lock_at((hMem), RF_HERE)
#define GUI_ALLOC_GetFixedBlock(Size) rf_ucgui_fixed_at((Size), RF_HERE)
#define GUI_ALLOC_FreeFixedBlock(p) rf_ucgui_free_fixed_at((p), RF_HERE)
#endif

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_UCGUI_H */
