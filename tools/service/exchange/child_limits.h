/* Limits of a child that reads what others made. */
#ifndef RINGFENCE_TOOLS_SERVICE_CHILD_LIMITS_H
#define RINGFENCE_TOOLS_SERVICE_CHILD_LIMITS_H

#ifdef __cplusplus
extern "C" {
#endif

/* To be called in the child, right after the fork: blocks no signal, ends with its parent, and after `seconds` of time
 * or of processor; has at most `gib` of address space, and writes files of at most 4 GiB. */
void rf_child_limit(unsigned seconds, unsigned gib);

#ifdef __cplusplus
}
#endif

#endif
