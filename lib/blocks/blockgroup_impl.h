/* Steps that blockgroup and its adapter share. Not a public header. */
#ifndef RINGFENCE_BLOCKGROUP_IMPL_H
#define RINGFENCE_BLOCKGROUP_IMPL_H

#include <ringfence/blockgroup.h>

/* Whether the records of a group, its members and its pools are what they were. */
bool rf_blockgroup_intact(const rf_blockgroup *group);

/* The pool of such a group that holds `ptr`; NULL where none does. */
rf_memblocks *rf_blockgroup_find(const rf_blockgroup *group, const void *ptr);

#endif /* RINGFENCE_BLOCKGROUP_IMPL_H */
