/* The exported functions: everything else of the library is hidden. */
#ifndef RINGFENCE_DROPIN_EXPORT_H
#define RINGFENCE_DROPIN_EXPORT_H

#define RF_EXPORT __attribute__((visibility("default")))

/* An rf_origin: the caller of the exported function in which this stands. */
#define RF_CALLER                                                                                                      \
  { NULL, (uintptr_t)__builtin_return_address(0), __builtin_frame_address(0) }

#endif /* RINGFENCE_DROPIN_EXPORT_H */
