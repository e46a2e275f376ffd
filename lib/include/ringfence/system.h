/* Whether there is an operating system below. In two files for bare targets there is none, whatever the compiler is
 * for: tools/amalgamate.py defines RF_PORT_BARE, as //lib/port:bare does. */
#ifndef RINGFENCE_SYSTEM_H
#define RINGFENCE_SYSTEM_H

#if (defined(__unix__) || defined(__APPLE__)) && !defined(RF_PORT_BARE)
#define RF_HAS_SYSTEM 1
#else
#define RF_HAS_SYSTEM 0
#endif

#endif /* RINGFENCE_SYSTEM_H */
