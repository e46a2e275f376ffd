/* Addresses of web servers. */
#ifndef RINGFENCE_REPORT_WEB_ADDRESS_H
#define RINGFENCE_REPORT_WEB_ADDRESS_H

#include <stddef.h>
#include <string.h>

/* The length of "http://" or "https://" at the start of `text`; 0 where it has neither. */
static inline size_t rf_web_scheme(const char *text) {
  static const char http[] = "http://";
  static const char https[] = "https://";
  return strncmp(text, http, sizeof http - 1) == 0     ? sizeof http - 1
         : strncmp(text, https, sizeof https - 1) == 0 ? sizeof https - 1
                                                       : 0;
}

#endif /* RINGFENCE_REPORT_WEB_ADDRESS_H */
