#include "checked_programs.h"

#include "captured.h"

#include <cstdlib>

namespace ringfence::fuzz {
namespace {

// The options of the process, which are read once; its reporter counts the findings of all inputs.
[[maybe_unused]] int const named = setenv(
    "RINGFENCE_OPTIONS", ("mode=guard:halt=0:max_findings=0:format=json:leaks=all:log=" + checked_log()).c_str(), 1);

} // namespace

const std::string &checked_log() {
  static const std::string path = Folder::path() + "/log";
  return path;
}

rf_options some_options(Reader &in) {
  static const size_t sizes[] = {0, 64, 4096, SIZE_MAX};
  rf_options o;
  rf_options_default(&o);
  o.mode = static_cast<rf_mode>(in.below(RF_MODE_MTE + 1));
  o.halt = false;
  o.format = RF_FORMAT_JSON;
  o.log = checked_log().c_str();
  o.log_length = checked_log().size();
  o.quarantine = in.u8() % 4 == 1 ? 0 : size_t{1} << 20;
  o.fill = sizes[1 + in.below(3)];
  o.fill_alloc = sizes[in.below(4)];
  o.move_below = sizes[in.below(3)];
  o.stack_depth = static_cast<unsigned>(in.below(5));
  o.leaks = static_cast<rf_leaks>(in.below(RF_LEAKS_REACHABLE + 1));
  o.sweep = in.u8() % 4 != 1;
  o.sample_rate = 1;
  o.sample_slots = in.u8() % 8 == 1 ? 1 : 64;
  o.sample_seed = in.u8();
  o.align = static_cast<rf_page_side>(in.below(RF_PAGE_UNALIGNED + 1));
  o.closed = in.u8() % 4 == 1 ? size_t{1} << 20 : size_t{1} << 30;
  o.page_memory = in.u8() % 4 == 1 ? size_t{64} << 10 : 0;
  o.page_seed = in.u8();
  o.verbosity = in.u8() % 8 == 1;
  o.help = in.u8() % 16 == 1;
  return o;
}

} // namespace ringfence::fuzz
