/* Faults of tags, in mode mte: each becomes a finding. */
#ifndef RINGFENCE_DROPIN_TAG_FAULT_H
#define RINGFENCE_DROPIN_TAG_FAULT_H

/* Has them noticed, in front of a handler that the program installed. At the beginning, and whenever handlers were
 * installed. Any thread, signal handlers. */
void rf_tag_faults_watch(void);

#endif /* RINGFENCE_DROPIN_TAG_FAULT_H */
