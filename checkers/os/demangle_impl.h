/* Parts of a demangled name, and the words of a mangled one. Internal to demangle*.c. */
#ifndef RINGFENCE_DEMANGLE_IMPL_H
#define RINGFENCE_DEMANGLE_IMPL_H

#include "demangle.h"

#include "lib/core/compiler.h"

typedef rf_demangle_part part;

static const part NOTHING = {0, 0, 0, false, false};

static inline part fail(rf_demangle *d) {
  d->failed = true;
  return NOTHING;
}

static inline char last_of(const rf_demangle *d, part a) {
  return (char)(a.size != 0 ? d->text[a.at + a.size - 1] : '\0');
}

static inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* ---- demangle_part.c: texts, each written once, at the end of the memory, and never moved ---- */

bool rf_demangle_append(rf_demangle *d, const char *from, size_t size);
part rf_part_copy(rf_demangle *d, const char *from, size_t size);
part rf_part_literal(rf_demangle *d, const char *from);
part rf_part_with(rf_demangle *d, part a, const char *b);
part rf_part_joined(rf_demangle *d, part a, part b);

/* `inner`, within `scope` where that is not empty. */
part rf_part_scoped(rf_demangle *d, part scope, part inner);

/* The last component of a name, without its template arguments and tags. */
part rf_part_base_of(rf_demangle *d, part scope);

/* The text to the right of where the name of a pointer to it would stand. */
part rf_part_behind_hole(part t);

/* `t` with `what` behind it, or, for arrays and functions, where the name would stand. */
part rf_part_declare(rf_demangle *d, part t, const char *what);

/* A reference to a reference is the first, unless both are to what goes. */
part rf_part_reference(rf_demangle *d, part t, const char *what);

/* A pointer to what is a `t` in each `of`. */
part rf_part_of_member(rf_demangle *d, part of, part t);

/* An array of `of`, which is no array or function, with the `size` digits as its count. */
part rf_part_of_array(rf_demangle *d, part of, const char *digits, size_t size);

/* Keeps a part that may be named again. */
part rf_demangle_remember(rf_demangle *d, part p);

/* ---- demangle_words.c: what is read without looking further ---- */

bool rf_demangle_accept(rf_demangle *d, const char *what);
unsigned rf_demangle_number(rf_demangle *d);

/* "_" is 0, "0_" is 1; letters count behind digits. */
unsigned rf_demangle_sequence(rf_demangle *d, unsigned base);

/* A part that was named before; S was accepted. */
part rf_demangle_substitution(rf_demangle *d);

/* The template argument that a parameter stands for; T was accepted. */
part rf_demangle_parameter(rf_demangle *d);

/* A number, and as many letters. */
part rf_demangle_source_name(rf_demangle *d);
part rf_demangle_operator(rf_demangle *d);

/* " const" and the like, "" where there are none. */
const char *rf_demangle_qualifiers(rf_demangle *d);

/* The type that a letter stands for; NULL where it is none. */
const char *rf_demangle_builtin(char c);

/* ---- demangle_grammar.c: what contains each other ---- */

/* A name, and in parentheses what it takes where it is a function's; before it what it returns, if it is a template's
 * and `with_return`. */
part rf_demangle_encoding(rf_demangle *d, bool with_return);

#endif /* RINGFENCE_DEMANGLE_IMPL_H */
