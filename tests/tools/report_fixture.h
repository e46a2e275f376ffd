// Findings in files of their own, and `ringfence report` over them.
#ifndef RINGFENCE_TESTS_TOOLS_REPORT_FIXTURE_H
#define RINGFENCE_TESTS_TOOLS_REPORT_FIXTURE_H

#include "tests/checkers/sample_finding.h"
#include "tests/tools/run.h"

#include <ringfence/report_json.h>
#include <ringfence/report_serial.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ringfence_test {

inline std::string json(const rf_finding &f) {
  ringfence::TextSink out;
  rf_report_json(&f, &ringfence::kSampleSymbolizer, out.sink());
  return out.text();
}

inline std::string serial(const rf_finding &f) {
  ringfence::TextSink out;
  rf_report_serial(&f, &ringfence::kSampleSymbolizer, out.sink());
  return out.text();
}

inline const rf_site kLeakSite = {"src/parse & <lex>.c", "parse<\"quoted\">", 77};

inline rf_finding leak() {
  rf_finding f = {};
  f.bug = RF_BUG_LEAK;
  f.cwe = 401;
  f.block = 0x2000;
  f.size = 4096;
  f.blocks = 2;
  f.allocator = "tlsf";
  f.mode = "guard";
  f.sequence = 2;
  f.process = 4242;
  f.allocated.site = &kLeakSite;
  return f;
}

inline rf_finding double_free() {
  rf_finding f = ringfence::sample_finding();
  f.bug = RF_BUG_DOUBLE_FREE;
  f.cwe = 415;
  f.access = RF_ACCESS_FREE;
  f.freed = true;
  f.offset = 0;
  f.address = f.block;
  f.window_size = 0;
  f.sequence = 3;
  f.released = f.found;
  return f;
}

// A finding with one frame, as JSON.
inline std::string framed(const std::string &fields) {
  return R"({"type":"finding","bug":"memory-leak","size":1,"blocks":1,"allocated":{"frames":[{"pc":"0x401000",)" +
         fields + "}]}}\n";
}

class ReportCommand : public testing::Test {
protected:
  ReportCommand() { EXPECT_EQ(run({"mkdir", "-p", folder_}).status, 0); }
  ~ReportCommand() override { run({"rm", "-r", folder_}); }

  std::string file(const std::string &name) { return folder_ + "/" + name; }
  std::string file(const std::string &name, const std::string &text) {
    write_file(file(name), text);
    return file(name);
  }
  std::string all() { return file("all.json", json(ringfence::sample_finding()) + json(leak()) + json(double_free())); }
  static Result report(std::vector<std::string> words, const How &how = {}) {
    words.insert(words.begin(), {ringfence(), "report"});
    return run(words, how);
  }
  static std::string said(const Result &result) { return result.said().empty() ? "" : result.said().back(); }

  std::string folder_ = scratch("files");
};

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_TOOLS_REPORT_FIXTURE_H
