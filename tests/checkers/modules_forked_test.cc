// Names of functions in the child of a fork, where another thread was naming one, and texts, where another thread was
// writing one. The linker puts this test's demangler in front of the own one.
#include "checkers/os/demangle.h"
#include "checkers/os/host.h"
#include "checkers/os/modules.h"
#include "checkers/report/collector.h"

#include "tests/checkers/child_status.h"

#include <ringfence/frames.h>
#include <ringfence/reporter.h>

#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <string>

extern "C" {
const char *__real_rf_demangle_name(rf_demangle *memory, const char *symbol);
const char *__wrap_rf_demangle_name(rf_demangle *memory, const char *symbol);
}

namespace ringfence {
namespace {

std::function<void()> within; // called once while a function is named, as by another thread

uintptr_t called_from;

__attribute__((noinline)) void named_for_people(int /*one*/) {
  called_from = reinterpret_cast<uintptr_t>(&named_for_people) + 1;
}

std::string name() {
  rf_modules modules;
  rf_trace trace = {};
  trace.depth = 1;
  trace.frames[0] = called_from;
  const rf_trace *const traces = &trace;
  rf_modules_load(&modules, &traces, 1);
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules, true);
  rf_frame_name frame;
  return symbolizer.name(symbolizer.context, called_from, 0, &frame) && frame.function != nullptr ? frame.function
                                                                                                  : "none";
}

TEST(ModulesForked, AChildThatWasMadeWhileAFunctionWasNamedNamesThem) {
  named_for_people(1);
  std::string const usual = name();
  EXPECT_NE(usual.find("named_for_people(int)"), std::string::npos) << usual;
  bool came = false;
  within = [&] {
    came = true;
    EXPECT_NE(name(), usual) << "another thread is naming one";
    int const status = status_of([&] {
      rf_modules_forked();
      return name() == usual && name() == usual;
    });
    EXPECT_EQ(status, 0);
  };
  EXPECT_EQ(name(), usual);
  EXPECT_TRUE(came);
}

void write_nothing(void * /*context*/, const rf_symbolizer * /*symbolizer*/, const rf_sink * /*sink*/) {}

// Makes a child that writes a text of its own.
void fork_within(void *context, const rf_symbolizer * /*symbolizer*/, const rf_sink * /*sink*/) {
  auto *const reporter = static_cast<rf_log_reporter *>(context);
  EXPECT_FALSE(rf_log_reporter_render(reporter, write_nothing, nullptr)) << "another thread is writing one";
  int const status = status_of([reporter] {
    rf_host_report_lock_reset();
    rf_log_reporter_forked();
    return rf_log_reporter_render(reporter, write_nothing, nullptr) &&
           rf_log_reporter_render(reporter, write_nothing, nullptr);
  });
  EXPECT_EQ(status, 0);
}

TEST(ReporterForked, AChildThatWasMadeWhileATextWasWrittenWritesItsOwn) {
  rf_report_options options;
  rf_log_reporter reporter;
  rf_report_options_default(&options);
  rf_log_reporter_init(&reporter, &options);
  EXPECT_TRUE(rf_log_reporter_render(&reporter, fork_within, &reporter));
}

} // namespace
} // namespace ringfence

const char *__wrap_rf_demangle_name(rf_demangle *memory, const char *symbol) {
  std::function<void()> now;
  now.swap(ringfence::within);
  if (now) {
    now();
  }
  return __real_rf_demangle_name(memory, symbol);
}
