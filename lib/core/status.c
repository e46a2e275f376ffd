#include <ringfence/status.h>

const char *rf_status_name(rf_status status) {
  switch (status) {
  case RF_OK:
    return "ok";
  case RF_ERR_NO_MEMORY:
    return "no memory";
  case RF_ERR_INVALID:
    return "invalid argument";
  case RF_ERR_BAD_POINTER:
    return "bad pointer";
  case RF_ERR_NOT_ALLOCATED:
    return "double free";
  case RF_ERR_CORRUPT:
    return "corrupt";
  case RF_ERR_TIMEOUT:
    return "timeout";
  case RF_ERR_BUSY:
    return "busy";
  case RF_ERR_DELETED:
    return "deleted";
  case RF_ERR_UNSUPPORTED:
    return "unsupported";
  }
  return "unknown status";
}
