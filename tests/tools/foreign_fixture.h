// Shared by the tests of other tools' reports.
#ifndef RINGFENCE_TESTS_TOOLS_FOREIGN_FIXTURE_H
#define RINGFENCE_TESTS_TOOLS_FOREIGN_FIXTURE_H

#include "tools/ringfence/model/foreign.h"
#include "tools/ringfence/model/identity.h"

#include <gtest/gtest.h>
#include <string>

namespace ringfence_test {

class Foreign : public testing::Test {
protected:
  ~Foreign() override { rf_bump_arena_free(&arena_); }

  rf_foreign read(const std::string &text) {
    const char *const copy = rf_bump_arena_text(&arena_, text.data(), text.size());
    return rf_foreign_read(&arena_, copy, text.size());
  }

  // As the collector reads it back.
  const rf_record *record(const rf_foreign &read, size_t index = 0, const char *program = nullptr) {
    char line[8192];
    rf_sink_buffer text;
    rf_sink_buffer_init(&text, line, sizeof line);
    const rf_foreign_finding *const f = &read.findings[index];
    rf_foreign_put(f, read.tool, program != nullptr ? program : rf_foreign_program(&read, f), &text.sink);
    const rf_json *const json = rf_json_parse(&arena_, text.data, text.length);
    EXPECT_NE(json, nullptr) << text.data;
    return json == nullptr ? nullptr : rf_record_read(&arena_, json);
  }

  rf_bump_arena arena_ = {nullptr};
};

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_TOOLS_FOREIGN_FIXTURE_H
