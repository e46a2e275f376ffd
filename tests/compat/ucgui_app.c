#include "ucgui_app.h"

#include "GUI.h"

#include <string.h>

#define NEED(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      return __LINE__;                                                                                                 \
    }                                                                                                                  \
  } while (0)

/* Every function of the header, as the description lists them. */
int ucgui_functions(void) {
  GUI_HMEM hMem;
  GUI_HMEM hOther;

  GUI_ALLOC_Init();
  NEED(GUI_ALLOC_GetUsed() == 0 && GUI_GetUsedMem() == 0);
  NEED(GUI_ALLOC_GetNumFreeBytes() == GUI_ALLOC_SIZE && GUI_ALLOC_GetMaxSize() == GUI_ALLOC_SIZE);
  hMem = GUI_ALLOC_Alloc(100);
  NEED(hMem != GUI_HMEM_NULL && hMem == 1);
  NEED(GUI_ALLOC_h2p(hMem) != NULL && GUI_ALLOC_h2p(0) == NULL);
  NEED((U8 *)GUI_ALLOC_h2p(hMem) >= GUI_Heap.abHeap && (U8 *)GUI_ALLOC_h2p(hMem) < GUI_Heap.abHeap + GUI_ALLOC_SIZE);
  hOther = GUI_ALLOC_Alloc(50);
  NEED(hOther == 2 && GUI_ALLOC_GetUsed() == 152);
  NEED(GUI_ALLOC_GetNumFreeBytes() == GUI_ALLOC_SIZE - 152);
  NEED(GUI_ALLOC_GetMaxSize() == GUI_ALLOC_SIZE - 152);
  GUI_ALLOC_Free(hMem);
  GUI_ALLOC_FreePtr(&hOther);
  NEED(hOther == 0 && GUI_ALLOC_GetUsed() == 0);
  NEED(GUI_MAXBLOCKS == 2 + GUI_ALLOC_SIZE / 32 && sizeof(GUI_HEAP) == GUI_ALLOC_SIZE);
  return 0;
}

typedef struct {
  int x0, y0, x1, y1;
  GUI_HMEM hText;
} OBJECT;

/* Every macro, as widgets use them. */
int ucgui_macros(void) {
  GUI_HMEM hObj;
  OBJECT *pObj;

  GUI_ALLOC_Init();
  hObj = GUI_ALLOC_ALLOC(sizeof(OBJECT));
  NEED(hObj != 0);
  pObj = (OBJECT *)GUI_ALLOC_LOCK(hObj);
  NEED(pObj->x0 == 0 && pObj->hText == 0);
  pObj->x1 = 320;
  GUI_ALLOC_UNLOCK(hObj);
  NEED(GUI_ALLOC_ALLOC(20) != 0);
  pObj = (OBJECT *)GUI_ALLOC_H2P(hObj);
  NEED(pObj->x1 == 320);
  GUI_ALLOC_FREE(hObj);
  return 0;
}

/* 29 to 31 bytes take 32. A new block is zero, a freed one 0xCC. */
int ucgui_sizes(void) {
  int size;
  U8 *p;
  GUI_HMEM hMem;

  GUI_ALLOC_Init();
  for (size = 29; size <= 32; size++) {
    int const before = GUI_ALLOC_GetUsed();
    int i;
    hMem = GUI_ALLOC_Alloc(size);
    NEED(GUI_ALLOC_GetUsed() - before == 32 && GUI_ALLOC_GetSize(hMem) == size);
    p = (U8 *)GUI_ALLOC_h2p(hMem);
    for (i = 0; i < size; i++) {
      NEED(p[i] == 0);
    }
    memset(p, 1, (size_t)size);
    GUI_ALLOC_Free(hMem);
    for (i = 0; i < 32; i++) {
      NEED(p[i] == 0xCC);
    }
  }
  NEED(GUI_ALLOC_Alloc(0) == 0 && GUI_ALLOC_Alloc(-1) == 0);
  NEED(GUI_ALLOC_Alloc(GUI_ALLOC_SIZE + 1) == 0);
  hMem = GUI_ALLOC_Alloc(GUI_ALLOC_GetNumFreeBytes());
  NEED(hMem != 0 && GUI_ALLOC_GetNumFreeBytes() == 0);
  GUI_ALLOC_Free(hMem);
  return 0;
}

/* 200 of 12500 bytes are left at the end and 800 are requested: the holes suffice. */
int ucgui_compaction(void) {
  GUI_HMEM ah[12];
  GUI_HMEM hLast;
  int i;

  GUI_ALLOC_Init();
  for (i = 0; i < 12; i++) {
    ah[i] = GUI_ALLOC_Alloc(1000);
    NEED(ah[i] != 0);
    memset(GUI_ALLOC_h2p(ah[i]), i, 1000);
  }
  NEED(GUI_ALLOC_Alloc(GUI_ALLOC_SIZE - 12 * 1000 - 200) != 0);
  NEED(GUI_ALLOC_GetMaxSize() == 200 && GUI_ALLOC_Alloc(800) == 0);
  NEED(GUI_ALLOC_Realloc(ah[3], 600) == ah[3]);
  NEED(GUI_ALLOC_Realloc(ah[8], 600) == ah[8]);
  NEED(GUI_ALLOC_GetMaxSize() == 1000);
  hLast = GUI_ALLOC_Alloc(800);
  NEED(hLast != 0);
  for (i = 0; i < 12; i++) {
    const U8 *p = (const U8 *)GUI_ALLOC_h2p(ah[i]);
    NEED(p[0] == i && p[599] == i);
  }
  return 0;
}

int ucgui_free_and_zero(void) {
  GUI_HMEM ah[3];
  GUI_HMEM hOnce;
  int i;

  GUI_ALLOC_Init();
  for (i = 0; i < 3; i++) {
    ah[i] = GUI_ALLOC_Alloc(10);
  }
  GUI_ALLOC_Free(0);
  GUI_ALLOC_FreePtr(&ah[1]);
  GUI_ALLOC_FreePtr(&ah[1]);
  NEED(GUI_ALLOC_GetNumUsedBlocks() == 2);
  hOnce = GUI_ALLOC_Alloc(10);
  NEED((hOnce & 0xFFFF) == 2); /* the lowest that is free */
  GUI_ALLOC_FreePtrArray(ah, 3);
  NEED(ah[0] == 0 && ah[1] == 0 && ah[2] == 0 && GUI_ALLOC_GetNumUsedBlocks() == 1);
  return 0;
}

int ucgui_figures(void) {
  GUI_ALLOC_INFO Info;
  GUI_HMEM hMem;

  GUI_ALLOC_Init();
  NEED(GUI_ALLOC_GetNumFreeBlocks() == GUI_MAXBLOCKS);
  hMem = GUI_ALLOC_Alloc(1000);
  NEED(GUI_ALLOC_GetNumUsedBlocks() == 1 && GUI_ALLOC_GetNumFreeBlocks() == GUI_MAXBLOCKS - 1);
  NEED(GUI_ALLOC_GetNumUsedBytes() == 1000);
  GUI_ALLOC_Free(hMem);
  NEED(GUI_ALLOC_GetNumUsedBytes() == 0 && GUI_ALLOC_GetMaxUsedBytes() == 1000);
  GUI_ALLOC_GetMemInfo(&Info);
  NEED(Info.TotalBytes == GUI_ALLOC_SIZE && Info.FreeBytes == GUI_ALLOC_SIZE && Info.UsedBytes == 0);
  NEED(Info.MaxUsedBytes == 1000 && Info.AllocSize == Info.TotalBytes + Info.NumFixedBytes);
  return 0;
}

int emwin_kinds_of_allocation(void) {
  static const char acText[] = "a text of some length";
  GUI_HMEM hInit;
  GUI_HMEM hZero;
  GUI_HMEM hRaw;
  GUI_ALLOC_DATATYPE Size;

  GUI_ALLOC_Init();
  hInit = GUI_ALLOC_AllocInit(acText, sizeof(acText));
  hZero = GUI_ALLOC_AllocZero(40);
  hRaw = GUI_ALLOC_AllocNoInit(40);
  NEED(hInit != 0 && hZero != 0 && hRaw != 0);
  NEED(strcmp((const char *)GUI_ALLOC_h2p(hInit), acText) == 0);
  NEED(((char *)GUI_ALLOC_h2p(hZero))[39] == 0);
  Size = GUI_ALLOC_GetSize(hInit);
  NEED(Size == sizeof(acText));
  hInit = GUI_ALLOC_Realloc(hInit, 200);
  NEED(hInit != 0 && strcmp((const char *)GUI_ALLOC_h2p(hInit), acText) == 0);
  NEED(GUI_ALLOC_Realloc(hInit, GUI_ALLOC_SIZE) == 0 && GUI_ALLOC_GetSize(hInit) == 200);
  NEED(GUI_ALLOC_AllocInit(acText, -3) == 0 && GUI_ALLOC_AllocZero(0) == 0);
  hRaw = GUI_ALLOC_Realloc(0, 5);
  NEED(hRaw != 0 && GUI_ALLOC_GetSize(hRaw) == 5);
  return 0;
}

int emwin_locks(void) {
  GUI_HMEM hLow;
  GUI_HMEM hObj;
  GUI_HMEM hHigh;
  OBJECT *pObj;
  void *pVoid;
  void *pHigh;

  GUI_ALLOC_Init();
  hLow = GUI_ALLOC_AllocZero(2000);
  hObj = GUI_ALLOC_AllocZero(sizeof(OBJECT));
  hHigh = GUI_ALLOC_AllocZero(6000);
  pObj = (OBJECT *)GUI_LOCK_H(hObj);
  pObj->x0 = 7;
  NEED(GUI_ALLOC_p2h(pObj) == hObj);
  GUI_ALLOC_Free(hLow);
  NEED(GUI_ALLOC_AllocZero(5000) == 0); /* would need the block to move, which is locked */
  NEED(pObj->x0 == 7);
  GUI_UNLOCK_H(pObj);
  NEED(pObj == NULL);
  hLow = GUI_ALLOC_AllocZero(5000);
  NEED(hLow != 0 && ((OBJECT *)GUI_ALLOC_h2p(hObj))->x0 == 7);
  GUI_ALLOC_Free(hLow);

  pVoid = GUI_ALLOC_LockH(hObj);
  NEED(pVoid != NULL && GUI_ALLOC_UnlockH(&pVoid) == NULL && pVoid == NULL);

  GUI_ALLOC_Free(hObj);
  GUI_ALLOC_Lock();
  pHigh = GUI_ALLOC_h2p(hHigh);
  NEED(GUI_ALLOC_GetMaxSize() == GUI_ALLOC_SIZE - 6000 && GUI_ALLOC_Alloc(GUI_ALLOC_SIZE - 6000) == 0);
  NEED(GUI_ALLOC_Realloc(hHigh, 5000) == hHigh && GUI_ALLOC_h2p(hHigh) == pHigh);
  NEED(GUI_ALLOC_Realloc(hHigh, GUI_ALLOC_SIZE) == 0 && GUI_ALLOC_h2p(hHigh) == pHigh);
  GUI_ALLOC_Unlock();
  return 0;
}

/* As GUI_X_Config is written. */
#define GUI_NUMBYTES (64 * 1024)
#define GUI_BLOCKSIZE 0x80

int emwin_own_memory(void) {
  static U32 aMemory[GUI_NUMBYTES / 4];
  GUI_HMEM hMem;

  GUI_ALLOC_Exit();
  GUI_ALLOC_AssignMemory(aMemory, GUI_NUMBYTES);
  GUI_ALLOC_SetAvBlockSize(GUI_BLOCKSIZE);
  hMem = GUI_ALLOC_AllocZero(40000);
  NEED(hMem != 0);
  NEED((char *)GUI_ALLOC_h2p(hMem) >= (char *)aMemory &&
       (char *)GUI_ALLOC_h2p(hMem) < (char *)(aMemory + GUI_NUMBYTES / 4));
  NEED(GUI_ALLOC_GetNumUsedBlocks() == 1);
  NEED(GUI_ALLOC_GetNumFreeBlocks() > 400 && GUI_ALLOC_GetNumFreeBlocks() < 2 + GUI_NUMBYTES / GUI_BLOCKSIZE);
  GUI_ALLOC_Free(hMem);
  GUI_ALLOC_Exit();
  NEED(GUI_ALLOC_GetNumFreeBytes() == GUI_ALLOC_SIZE);
  return 0;
}

/* Windows in a list by their handles, made and deleted in any order. */
typedef struct {
  GUI_HMEM hNext;
  int Id;
  U8 abUser[1];
} WIN;

int emwin_windows(void) {
  GUI_HMEM hFirst = 0;
  unsigned Random = 1;
  int NumWin = 0;
  int i;

  GUI_ALLOC_Init();
  for (i = 0; i < 20000; i++) {
    Random = Random * 1103515245u + 12345u;
    if ((Random >> 16) % 3 != 0) {
      GUI_HMEM const hWin = GUI_ALLOC_AllocZero((int)sizeof(WIN) + (int)((Random >> 18) % 300));
      WIN *pWin = (WIN *)GUI_LOCK_H(hWin);
      if (pWin != NULL) {
        pWin->hNext = hFirst;
        pWin->Id = ++NumWin;
        hFirst = hWin;
      }
      GUI_UNLOCK_H(pWin);
    } else if (hFirst != 0) {
      WIN *pWin = (WIN *)GUI_LOCK_H(hFirst);
      GUI_HMEM const hNext = pWin->hNext;
      int const Id = pWin->Id;
      GUI_UNLOCK_H(pWin);
      NEED(Id == NumWin);
      GUI_ALLOC_Free(hFirst);
      hFirst = hNext;
      NumWin--;
    }
    NEED(GUI_ALLOC_GetNumUsedBlocks() == NumWin);
  }
  return 0;
}
