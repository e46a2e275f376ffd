/* Pointers that the kernel alone holds for the program: the calling thread's stack for signal handlers, the data of
 * descriptors that an epoll descriptor watches, the values that POSIX timers hand to signal handlers, bytes that wait
 * in pipes and in sockets of the machine, and values that were handed over by calls (handed_over.h).
 *
 * A stopped thread's stack for signal handlers needs no look: the kernel writes its address beside the registers.
 */
#ifndef RINGFENCE_DROPIN_KERNEL_ROOTS_H
#define RINGFENCE_DROPIN_KERNEL_ROOTS_H

#include "roots.h"

/* Hands these pointers to `roots->visit`, as far as /proc tells them (epoll from Linux 3.8, timers where the kernel was
 * built with CHECKPOINT_RESTORE). Uses `roots->buffer`. Does not allocate. */
void rf_kernel_roots_read(rf_roots *roots);

#endif /* RINGFENCE_DROPIN_KERNEL_ROOTS_H */
