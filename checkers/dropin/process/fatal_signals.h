/* The end of the process by a fatal signal. */
#ifndef RINGFENCE_DROPIN_FATAL_SIGNALS_H
#define RINGFENCE_DROPIN_FATAL_SIGNALS_H

/* Installs the handlers where the default action is in place. `check` is called before the process dies. */
void rf_fatal_signals_init(void (*check)(void));

#endif /* RINGFENCE_DROPIN_FATAL_SIGNALS_H */
