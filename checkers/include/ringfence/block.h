/* Blocks as all checkers see them: the bytes around and in them, and how they were asked for. */
#ifndef RINGFENCE_BLOCK_H
#define RINGFENCE_BLOCK_H

/* Byte patterns, as a debugger shows them. */
#define RF_PATTERN_FREED 0xCC   /* freed payload */
#define RF_PATTERN_NEW 0xCD     /* new payload */
#define RF_PATTERN_REDZONE 0xFD /* redzones and slack */

/* How a block was asked for, so that new/free and the like are told apart (hosted drop-in). */
typedef enum rf_family {
  RF_FAMILY_MALLOC,
  RF_FAMILY_NEW,
  RF_FAMILY_NEW_ARRAY,
  RF_FAMILY_REALLOC,     /* of no block: realloc, which frees those of malloc */
  RF_FAMILY_ALIGNED = 4, /* a flag: the form with std::align_val_t, which C++ tells from the plain one */
  RF_FAMILY_NEW_ALIGNED = RF_FAMILY_NEW | RF_FAMILY_ALIGNED,
  RF_FAMILY_NEW_ARRAY_ALIGNED = RF_FAMILY_NEW_ARRAY | RF_FAMILY_ALIGNED
} rf_family;

#endif /* RINGFENCE_BLOCK_H */
