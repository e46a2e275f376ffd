/* For code of RT-Thread that includes <rthw.h> although it does nothing to the hardware: there is none. */
#ifndef RINGFENCE_RTTHREAD_RTHW_H
#define RINGFENCE_RTTHREAD_RTHW_H

#include <ringfence/rtthread/rtdef.h>

#endif /* RINGFENCE_RTTHREAD_RTHW_H */
