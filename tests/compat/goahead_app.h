/* Code as it is written for GoAhead's allocator, compiled as the C that it is. */
#ifndef RINGFENCE_TESTS_COMPAT_GOAHEAD_APP_H
#define RINGFENCE_TESTS_COMPAT_GOAHEAD_APP_H

#ifdef __cplusplus
extern "C" {
#endif

/* Each gives 0, or the line that went wrong; the heap is closed before and after. */
int short_names(void);
int walloc_names(void);
int balloc_names(void);
int balloc_names_without_places(void);
int uemf_names(void);
int galloc_names(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_COMPAT_GOAHEAD_APP_H */
