// Shared by the harnesses of page and sample: a checker that puts blocks on pages, over heaps of various abilities. It
// serves any program, or a correct one that commits one error.
#ifndef RINGFENCE_FUZZ_PAGE_HARNESS_H
#define RINGFENCE_FUZZ_PAGE_HARNESS_H

#include "finding_log.h"
#include "page_error.h"

#include <ringfence/fuzz/reader.h>
#include <ringfence/fuzz/target.h>
#include <ringfence/page.h>
#include <ringfence/simple.h>
#include <ringfence/std.h>
#include <ringfence/tlsf.h>

#include <string>

namespace ringfence::fuzz {

class PageHarness {
public:
  explicit PageHarness(const char *mode) : mode_(mode) {}
  virtual ~PageHarness() = default;

  void run(Reader &reader);

protected:
  enum Inner { kSimple, kTlsf, kStd, kInners };

  // Sets options to defaults and to what the input chose.
  virtual void set_options(rf_page_side side, size_t choice) = 0;
  // The checker over that heap, which is NULL where the arena was refused. NULL where the checker refuses.
  virtual rf_allocator *wrap(rf_allocator *inner) = 0;
  // The promises of this checker beside those of both.
  virtual void describe(rf_fuzz_target &) const {}
  // The checker for a program that is to commit one error.
  virtual Paged paged() = 0;

  Inner kind() const { return kind_; }
  const char *mode() const { return mode_; }

  FindingLog log_;

private:
  void set_up(Reader &reader);
  rf_allocator *make(void *arena, size_t size);
  rf_allocator *make_inner(void *arena, size_t size);
  rf_fuzz_target target();

  const char *mode_;
  std::string name_;
  Inner kind_ = kSimple;
  rf_simple simple_;
  rf_tlsf tlsf_;
  rf_std std_;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_PAGE_HARNESS_H
