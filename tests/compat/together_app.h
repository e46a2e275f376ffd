/* See together_app.c. */
#ifndef RINGFENCE_TESTS_COMPAT_TOGETHER_APP_H
#define RINGFENCE_TESTS_COMPAT_TOGETHER_APP_H

#ifdef __cplusplus
extern "C" {
#endif

/* How many of the five served a block. */
int together(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_COMPAT_TOGETHER_APP_H */
