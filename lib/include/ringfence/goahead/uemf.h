/* For code of GoAhead 2 that includes "uemf.h" for its memory. */
#ifndef RINGFENCE_GOAHEAD_UEMF_H
#define RINGFENCE_GOAHEAD_UEMF_H

#include <ringfence/goahead.h>

#ifndef CHAR_T_DEFINED
#define CHAR_T_DEFINED
typedef char char_t;
#endif

#ifndef T
#define T(text) text
#endif

/* As without ASSERT: the condition is not looked at. */
#ifndef a_assert
#define a_assert(C) ((void)sizeof(C))
#endif
#ifndef gassert
#define gassert(C) a_assert(C)
#endif

#endif /* RINGFENCE_GOAHEAD_UEMF_H */
