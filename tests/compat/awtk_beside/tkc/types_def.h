/* Stands for the types of a program that has the rest of AWTK: the names that the memory headers need, written
 * otherwise. */
#ifndef TK_TYPES_DEF_H
#define TK_TYPES_DEF_H

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define OWN_TYPES_OF_AWTK 1

typedef unsigned char bool_t;
typedef enum _ret_t { RET_OK = 0, RET_OOM, RET_FAIL, RET_NOT_FOUND = 9, RET_BAD_PARAMS = 16 } ret_t;

#ifdef __cplusplus
#define BEGIN_C_DECLS extern "C" {
#define END_C_DECLS }
#else
#define BEGIN_C_DECLS
#define END_C_DECLS
#endif

#define ENSURE(p) assert(p)

#endif /* TK_TYPES_DEF_H */
