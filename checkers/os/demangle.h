/* C++ names as people write them, from those of the linker: the common part of the Itanium C++ ABI's mangling.
 * Allocates nothing and calls nothing that may: usable inside malloc and in signal handlers. Depth is bounded: at most
 * 12 KiB of stack. Internal to checkers/. */
#ifndef RINGFENCE_DEMANGLE_H
#define RINGFENCE_DEMANGLE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_DEMANGLE_PARTS 96U
#define RF_DEMANGLE_ARGUMENTS 24U
#define RF_DEMANGLE_TEXT 6144U

typedef struct rf_demangle_part {
  unsigned short at; /* in the text */
  unsigned short size;
  unsigned short hole; /* where the name of a pointer to it would stand; 0 at the end */
  bool pack;           /* of a parameter pack: does not stand for one type */
  bool argument;       /* T_ stands in it: means something else where other template arguments hold */
} rf_demangle_part;

/* Memory for one name, the caller's; nothing is kept in it between calls. */
typedef struct rf_demangle {
  const char *in;
  unsigned depth;
  bool failed;
  bool in_type;     /* template arguments are none that T_ names */
  bool is_template; /* the last name ended with template arguments */
  bool has_return;  /* which, by its kind, has a return type then */
  unsigned part_count;
  unsigned argument_count;
  unsigned pack_first; /* of the arguments; RF_DEMANGLE_ARGUMENTS where there is no pack */
  unsigned pack_size;
  unsigned pack_index; /* that Dp is at */
  unsigned used;
  const char *after; /* qualifiers of a member function */
  rf_demangle_part parts[RF_DEMANGLE_PARTS];
  rf_demangle_part arguments[RF_DEMANGLE_ARGUMENTS];
  char text[RF_DEMANGLE_TEXT];
} rf_demangle;

/* The function, variable or thunk that `mangled` names, in `d`'s text until its next use. NULL where `mangled` is no
 * such name, or has parts that are not known here (expressions, decltype, qualified member function pointers). */
const char *rf_demangle_name(rf_demangle *d, const char *mangled);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_DEMANGLE_H */
