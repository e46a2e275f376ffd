#ifndef RINGFENCE_TLSF_CHECK_H
#define RINGFENCE_TLSF_CHECK_H

#include <ringfence/tlsf.h>

rf_status rf_tlsf_check(rf_allocator *self, rf_fault *where);

#endif /* RINGFENCE_TLSF_CHECK_H */
