#include "mode_options.h"

/* Stacks of sampled blocks are few, and deep ones cost next to nothing. */
#define SAMPLE_DEPTH 16U

rf_report_options rf_options_for_reporter(const rf_options *o) {
  rf_report_options out;
  rf_report_options_default(&out);
#define RF_OPTION_FOR_REPORTER(name, member) out.member = o->name;
#include <ringfence/options.inc>
  return out;
}

rf_guard_options rf_options_for_guard(const rf_options *o) {
  rf_guard_options out;
  rf_guard_options_default(&out);
#define RF_OPTION_FOR_GUARD(name, member) out.member = o->name;
#include <ringfence/options.inc>
  return out;
}

rf_page_options rf_options_for_page(const rf_options *o) {
  rf_page_options out;
  rf_page_options_default(&out);
#define RF_OPTION_FOR_PAGE(name, member) out.member = o->name;
#include <ringfence/options.inc>
  out.guarded = rf_options_for_guard(o);
  return out;
}

rf_sample_options rf_options_for_sample(const rf_options *o) {
  rf_sample_options out;
  rf_sample_options_default(&out);
#define RF_OPTION_FOR_SAMPLE(name, member) out.member = o->name;
#include <ringfence/options.inc>
  if (out.stack_depth < SAMPLE_DEPTH) {
    out.stack_depth = SAMPLE_DEPTH;
  }
  return out;
}

rf_handle_guard_options rf_options_for_handles(const rf_options *o) {
  rf_handle_guard_options out;
  rf_handle_guard_options_default(&out);
#define RF_OPTION_FOR_HANDLES(name, member) out.member = o->name;
#include <ringfence/options.inc>
  return out;
}
