#include "tests/fuzz/flaw_lists.h"

namespace ringfence::fuzz {

std::vector<Flaw> all_flaws() {
  std::vector<Flaw> all;
  for (const auto &list :
       {flaws_of_memory(), flaws_of_requests(), flaws_of_misuse(), flaws_of_figures(), flaws_of_life()}) {
    all.insert(all.end(), list.begin(), list.end());
  }
  return all;
}

} // namespace ringfence::fuzz
