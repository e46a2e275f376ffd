/* See goahead_runtime.c. */
#ifndef RINGFENCE_TESTS_COMPAT_GOAHEAD_RUNTIME_H
#define RINGFENCE_TESTS_COMPAT_GOAHEAD_RUNTIME_H

#ifdef __cplusplus
extern "C" {
#endif

/* The calls of the program's own sclone: 2. */
int own_clones(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_COMPAT_GOAHEAD_RUNTIME_H */
