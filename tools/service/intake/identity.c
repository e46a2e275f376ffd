#include "tools/service/intake/identity.h"

#include "tools/ringfence/model/identity.h"

rf_event_keys rf_event_keys_of(rf_bump_arena *arena, const rf_record *record) {
  rf_identity const identity = rf_identity_of(arena, record, NULL);
  return (rf_event_keys){
      .algorithm = identity.version,
      .group = (int64_t)identity.group,
      .access = (int64_t)identity.stacks[RF_STACK_FOUND].key,
      .allocation = (int64_t)identity.stacks[RF_STACK_ALLOCATED].key,
      .release = (int64_t)identity.stacks[RF_STACK_RELEASED].key,
  };
}
