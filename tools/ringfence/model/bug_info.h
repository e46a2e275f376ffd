/* The meaning of each kind of finding, for readers who meet it for the first time. */
#ifndef RINGFENCE_TOOLS_MODEL_BUG_INFO_H
#define RINGFENCE_TOOLS_MODEL_BUG_INFO_H

#include <ringfence/finding.h>

#ifdef __cplusplus
extern "C" {
#endif

const char *rf_bug_title(rf_bug bug);    /* "HeapBufferOverflow" */
const char *rf_bug_summary(rf_bug bug);  /* one line */
const char *rf_bug_meaning(rf_bug bug);  /* what went wrong */
const char *rf_bug_advice(rf_bug bug);   /* where to look */
const char *rf_bug_level(rf_bug bug);    /* "error" or "warning" */
const char *rf_bug_severity(rf_bug bug); /* 0.0 to 10.0, as code hosts sort by */

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_BUG_INFO_H */
