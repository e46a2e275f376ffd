#ifndef RINGFENCE_TLSF_RESIZE_H
#define RINGFENCE_TLSF_RESIZE_H

#include <ringfence/tlsf.h>

void *rf_tlsf_realloc(rf_allocator *self, void *p, size_t size, size_t align, const rf_site *site);
rf_status rf_tlsf_resize(rf_allocator *self, void *p, size_t size, const rf_site *site);

#endif /* RINGFENCE_TLSF_RESIZE_H */
