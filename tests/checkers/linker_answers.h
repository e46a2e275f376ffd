// Answers for the dynamic linker: modules that the test makes (glibc 2.35 and later).
#ifndef RINGFENCE_TESTS_CHECKERS_LINKER_ANSWERS_H
#define RINGFENCE_TESTS_CHECKERS_LINKER_ANSWERS_H

#include <cstdint>
#include <dlfcn.h>
#include <link.h>

#if defined(DLFO_STRUCT_HAS_EH_DBASE)
#define RF_CAN_ANSWER 1

namespace ringfence {

struct MadeModule {
  uintptr_t start; // of the addresses that are in it
  uintptr_t end;
  uintptr_t header;   // 0: it has no tables
  uintptr_t said_end; // what the linker says; 0: the same
};

inline MadeModule made[2]; // no two overlap
inline struct link_map map_of_made;

inline const MadeModule *made_at(uintptr_t pc) {
  for (const MadeModule &m : made) {
    if (pc >= m.start && pc < m.end) {
      return &m;
    }
  }
  return nullptr;
}

} // namespace ringfence

extern "C" int _dl_find_object(void *address, struct dl_find_object *result) noexcept {
  using Find = int (*)(void *, struct dl_find_object *);
  static Find const next = reinterpret_cast<Find>(dlsym(RTLD_NEXT, "_dl_find_object"));
  const ringfence::MadeModule *const m = ringfence::made_at(reinterpret_cast<uintptr_t>(address));
  if (m == nullptr) {
    return next(address, result);
  }
  *result = {};
  result->dlfo_map_start = reinterpret_cast<void *>(m->start);
  result->dlfo_map_end = reinterpret_cast<void *>(m->said_end != 0 ? m->said_end : m->end);
  result->dlfo_eh_frame = reinterpret_cast<void *>(m->header);
  result->dlfo_link_map = &ringfence::map_of_made;
  return 0;
}

#endif

#endif // RINGFENCE_TESTS_CHECKERS_LINKER_ANSWERS_H
