/* Looking at a handle heap: three of its operations. Not a public header. */
#ifndef RINGFENCE_HANDLE_VIEW_H
#define RINGFENCE_HANDLE_VIEW_H

#include <ringfence/handles.h>

rf_status rf_handle_heap_walk(rf_handles *self, rf_handle_walk_fn visit, void *context);
rf_status rf_handle_heap_check(rf_handles *self, rf_fault *where);
void rf_handle_heap_usage(rf_handles *self, rf_handle_usage *out);

#endif /* RINGFENCE_HANDLE_VIEW_H */
