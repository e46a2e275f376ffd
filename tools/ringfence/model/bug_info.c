#include "tools/ringfence/model/bug_info.h"

typedef struct kind {
  const char *title;
  const char *line;
  const char *meaning;
  const char *help;
  const char *severity;
} kind;

static const kind kinds[RF_BUG_COUNT] = {
    [RF_BUG_BUFFER_OVERFLOW] = {"HeapBufferOverflow", "Bytes after a heap block were touched.",
                                "The program read or wrote memory behind the end of a block that it allocated.",
                                "Look at code that fills or reads the block: a length computed without the final NUL, "
                                "an index one too large, a size in elements taken for one in bytes.",
                                "8.8"},
    [RF_BUG_BUFFER_UNDERFLOW] = {"HeapBufferUnderflow", "Bytes before a heap block were touched.",
                                 "The program read or wrote memory before the start of a block that it allocated.",
                                 "Look for negative indices and for pointers that are moved back too far.", "8.8"},
    [RF_BUG_USE_AFTER_FREE] = {"HeapUseAfterFree", "A freed heap block was touched.",
                               "The program used memory after it had freed it.",
                               "Look for code that still holds a pointer to the block after the free.", "8.8"},
    [RF_BUG_DOUBLE_FREE] = {"DoubleFree", "A heap block was freed twice.",
                            "The program freed a block, or handed it to realloc, after it had freed it already.",
                            "Two parts of the program believe that they own the block: compare both frees.", "8.1"},
    [RF_BUG_BAD_FREE] = {"BadFree", "A pointer that is not the start of a heap block was freed.",
                         "The program freed a pointer to the stack, to a static object, into a block, or to nowhere.",
                         "Look at where the pointer came from, and whether it was moved since.", "7.5"},
    [RF_BUG_DEALLOC_MISMATCH] = {"AllocDeallocMismatch", "A block was freed by the wrong call.",
                                 "new goes with delete, new[] with delete[], malloc with free, and each allocator with "
                                 "itself.",
                                 "Free the block as it was allocated.", "6.5"},
    [RF_BUG_SIZE_MISMATCH] = {"NewDeleteTypeMismatch", "An object was deleted with a size that is not its own.",
                              "A sized delete was given another size than new.",
                              "Mostly a class without a virtual destructor, deleted through its base.", "6.5"},
    [RF_BUG_LEAK] = {"MemoryLeak", "A block was never freed.",
                     "Nothing points to the block any more, so it can no longer be freed.",
                     "Follow the pointer from the place of allocation to where it is dropped.", "4.3"},
    [RF_BUG_METADATA] = {"MetadataCorruption", "Data of the allocator were overwritten.",
                         "Bytes in which the allocator or the checker keeps its own records have changed.",
                         "A wild or far write: look at the blocks around the address and at who writes by computed "
                         "pointers.",
                         "8.8"},
    [RF_BUG_SIZE_TOO_BIG] = {"AllocationSizeTooBig", "A size larger than any memory was requested.",
                             "The size is negative or wrapped round when it was computed.",
                             "Check the arithmetic that made the size.", "5.3"},
    [RF_BUG_CALLOC_OVERFLOW] = {"CallocOverflow", "The product of count and size does not fit.",
                                "calloc or reallocarray was asked for more elements than can be counted in bytes.",
                                "Check where the count comes from.", "5.3"},
    [RF_BUG_BAD_ALIGNMENT] = {"InvalidAllocationAlignment", "An alignment is no power of two.",
                              "Memory was asked for at an alignment that cannot be had.",
                              "Alignments are 1, 2, 4, 8 and so on.", "3.1"},
    [RF_BUG_ENDED] = {"UseAfterDeinit", "An allocator was used after it was ended.",
                      "A call reached an allocator after its deinit.",
                      "Look at the order in which objects are destroyed.", "6.5"},
    [RF_BUG_STALE_HANDLE] = {"StaleHandle", "The handle of a freed block was used.",
                             "The block that the handle stood for is gone; the handle may stand for another one later.",
                             "Look for code that still keeps the handle after the free.", "7.5"},
    [RF_BUG_BAD_HANDLE] = {"BadHandle", "A value that is no handle of this heap was used as one.",
                           "A number, a pointer or another heap's handle was taken for a handle.",
                           "Look at where the handle came from.", "7.5"},
    [RF_BUG_USE_AFTER_MOVE] = {"UseAfterMove", "An address was kept though the heap could move the block.",
                               "The block moved, or could have, since its address was taken.",
                               "Lock the handle for as long as the address is used.", "8.1"},
    [RF_BUG_UNLOCK] = {"UnlockWithoutLock", "A handle was unlocked more often than locked.",
                       "The block may now move while somebody else uses its address.",
                       "Pair each lock with one unlock.", "5.3"},
    [RF_BUG_FREE_LOCKED] = {"FreeWhileLocked", "A block was freed while it was locked.",
                            "Somebody still uses the address of the block.",
                            "Unlock before freeing; look at who holds the lock.", "7.5"},
    [RF_BUG_REENTRY] = {"ReentrantCall", "An allocator was called from a callback of its own.",
                        "A callback that runs in the middle of an operation called the allocator that runs it.",
                        "Defer the call until the operation has ended.", "5.3"},
    [RF_BUG_BAD_USABLE_SIZE] = {"BadMallocUsableSize",
                                "The usable size of a pointer that is not a live block was requested.",
                                "malloc_usable_size was given a pointer to a freed block, into a block, to the stack, "
                                "to a static object, or to nowhere.",
                                "Look at where the pointer came from, and whether its block was freed since.", "5.3"},
    [RF_BUG_SEGV] =
        {"Segv", "The program accessed an address that it may not access.",
         "The processor refused an access to memory that is not mapped or not accessible in this way, and the process "
         "died of SIGSEGV.",
         "Near zero, a NULL pointer was used; elsewhere, look at where the pointer or the index came from.", "6.5"},
    [RF_BUG_BUS] = {"Bus", "The program used an address with no memory behind it.",
                    "A mapped file is shorter than its mapping, or an address was not aligned; the process died of "
                    "SIGBUS.",
                    "Look at who truncates the file, and at casts to types of a larger alignment.", "5.3"},
    [RF_BUG_ILL] = {"Ill", "The processor found no valid instruction.",
                    "The program jumped to bytes that are no code, ran code for another processor, or reached a "
                    "trap that the compiler placed; the process died of SIGILL.",
                    "Look at pointers to functions, and at -march.", "5.3"},
    [RF_BUG_FPE] = {"Fpe", "The program divided by zero.",
                    "An integer was divided by zero, or the quotient does not fit; the process died of SIGFPE.",
                    "Check the divisor.", "5.3"},
    [RF_BUG_STOPPED_OVERFLOW] =
        {"BufferOverflow", "A write longer than its destination was stopped.",
         "The compiler knew how large the destination is, and the C library ended the program before the write was "
         "done (_FORTIFY_SOURCE); the process died of SIGABRT.",
         "Compare the length with the destination's size before the call; look at the terminating NUL.", "5.3"},
    [RF_BUG_STACK_OVERFLOW] =
        {"StackBufferOverflow", "An object on the stack was accessed past its end.",
         "The write was stopped (_FORTIFY_SOURCE), or had overwritten what the compiler keeps behind the objects of a "
         "function (-fstack-protector), which was noticed as the function returned; the process died of SIGABRT.",
         "Look at the arrays of the function that the report begins with, and at what is copied into them.", "8.8"},
};

static const kind unknown = {"Unknown", "A kind of finding that this version does not know.",
                             "It was written by a newer version.", "Use that one's command.", "5.0"};

static const kind *of(rf_bug bug) {
  return (unsigned)bug < RF_BUG_COUNT && kinds[bug].title != NULL ? &kinds[bug] : &unknown;
}

const char *rf_bug_title(rf_bug bug) {
  return of(bug)->title;
}

const char *rf_bug_summary(rf_bug bug) {
  return of(bug)->line;
}

const char *rf_bug_meaning(rf_bug bug) {
  return of(bug)->meaning;
}

const char *rf_bug_advice(rf_bug bug) {
  return of(bug)->help;
}

const char *rf_bug_level(rf_bug bug) {
  return bug == RF_BUG_LEAK ? "warning" : "error";
}

const char *rf_bug_severity(rf_bug bug) {
  return of(bug)->severity;
}
