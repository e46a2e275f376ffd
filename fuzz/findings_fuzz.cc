// findings: readers take any file or console output without harm, and every rendering of it is well-formed. Findings
// written by the library are read back unchanged, also over a serial line that loses and garbles bytes.
#include "blocks_model.h"
#include "generated_findings.h"
#include "tests/core/text_sink.h"
#include "tools/ringfence/base/json.h"
#include "tools/ringfence/model/foreign.h"
#include "tools/ringfence/model/identity.h"
#include "tools/ringfence/model/input.h"
#include "tools/ringfence/render/document.h"

#include "checkers/report/utf8.h"
#include <algorithm>
#include <array>
#include <cstring>
#include <malloc.h>
#include <ringfence/fuzz/interpreter.h>
#include <ringfence/fuzz/reader.h>
#include <ringfence/report_json.h>
#include <ringfence/report_serial.h>
#include <ringfence/snapshot.h>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ringfence::fuzz::a_text;
using ringfence::fuzz::Findings;
using ringfence::fuzz::Reader;

// ---- Reading and rendering ----

constexpr size_t kUsualText = 4096; // bytes

class Read {
public:
  explicit Read(const std::string &text, rf_input_form form = RF_INPUT_ANY) {
    recognised = rf_input_parse(&run, &losses, &arena_, "input", form, text.c_str(), text.size());
  }
  ~Read() { rf_bump_arena_free(&arena_); }
  Read(const Read &) = delete;
  Read &operator=(const Read &) = delete;

  // Merges the records, which afterwards are in the order of the document.
  void make() {
    rf_document_options options = {};
    options.whole = true;
    rf_document_make(&document, &arena_, &run, &options);
    check_identities();
  }

  std::string rendering(void (*render)(rf_bump_arena *, const rf_document *, const rf_sink *)) {
    std::string out;
    out.reserve(kUsualText);
    rf_sink const sink = ringfence::sink_to(&out);
    render(&arena_, &document, &sink);
    return out;
  }

  bool is_json(const std::string &text) { return rf_json_parse(&arena_, text.data(), text.size()) != nullptr; }

  bool lost_nothing() const { return losses.damaged + losses.incomplete + losses.missing + run.damaged == 0; }

  rf_run run{};
  rf_input_losses losses{};
  rf_document document{};
  bool recognised;

private:
  // A bug is known by what its record says, each time alike, and is one bug with itself.
  void check_identities() {
    for (size_t i = 0; i < document.count; i++) {
      const rf_identity one = rf_identity_of(&arena_, document.records[i], nullptr);
      const rf_identity again = rf_identity_of(&arena_, document.records[i], nullptr);
      const rf_identity other = rf_identity_of(&arena_, document.records[document.count - 1 - i], nullptr);
      RF_HOLDS(one.group != 0 && one.group == again.group);
      RF_HOLDS(rf_identity_compare(&one, &again).one);
      RF_HOLDS(rf_identity_compare(&one, &other).one == (one.group == other.group));
      RF_HOLDS(std::strlen(rf_identity_why(&arena_, &one, &other)) != 0);
    }
  }

public:
private:
  rf_bump_arena arena_{nullptr};
};

// The dearer checks, while fuzzing: of five inputs in sixteen, and of one in eight, which their bytes choose.
bool rendering_is_due;
bool fixed_point_is_due;

#ifdef M_TRIM_THRESHOLD
// The readers' arenas are made anew for each input: their pages need not be.
[[maybe_unused]] const bool keeps_pages = mallopt(M_TRIM_THRESHOLD, 1 << 26) == 1 && mallopt(M_TOP_PAD, 1 << 22) == 1;
#endif

// The record as the library writes it: equal texts are equal records.
std::string json_of(rf_record *record) {
  std::string out;
  out.reserve(kUsualText);
  rf_record_trim(record, nullptr, true); // and hands the frames to the finding
  rf_sink const sink = ringfence::sink_to(&out);
  rf_symbolizer const symbolizer = rf_record_symbolizer(record);
  rf_report_json(&record->finding, &symbolizer, &sink);
  return out;
}

// Text that stops parsers and browsers.
void check_text(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto *const at = reinterpret_cast<const unsigned char *>(text.data()) + i;
    unsigned const length = *at >= 0x20 && *at < 0x7F ? 1 : rf_utf8_length(at); /* most need no call */
    RF_HOLDS(length != 0 && (*at >= 0x20 || *at == '\n' || *at == '\t'));
    i += length;
  }
}

// Tags are closed in reverse order, and attributes are quoted.
void check_xml(std::string_view text) {
  std::vector<std::string_view> open;
  size_t at = text.find("<body") != std::string::npos ? text.find("<body") : text.find("<testsuites");
  while ((at = text.find('<', at)) != std::string::npos) {
    size_t const end = text.find('>', at);
    RF_HOLDS(end != std::string::npos);
    std::string_view const tag = text.substr(at + 1, end - at - 1);
    RF_HOLDS(tag.find('<') == std::string::npos && std::count(tag.begin(), tag.end(), '"') % 2 == 0);
    std::string_view const name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag[0] == '/') {
      RF_HOLDS(!open.empty() && tag.substr(1) == open.back());
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
    at = name == "script" ? text.find("</script", end) : end;
    if (open.empty()) {
      return; // earlier tags belong to other elements
    }
  }
  RF_HOLDS(open.empty());
}

// One rendering, to be quick. The page goes without its style, which is constant.
void check_rendering(Read &r, unsigned which) {
  std::string text;
  std::string_view checked;
  switch (which % 4) {
  case 0:
    text = r.rendering(rf_document_junit);
    checked = text;
    check_xml(text);
    break;
  case 1:
    text = r.rendering(rf_document_html);
    checked = std::string_view(text).substr(text.find("<body"));
    check_xml(checked);
    break;
  case 2:
    text = r.rendering(rf_document_sarif);
    checked = text;
    RF_HOLDS(r.is_json(text));
    break;
  default:
    for (char const c : r.rendering(rf_document_text)) {
      RF_HOLDS((static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) || c == '\n' || c == '\t');
    }
    break;
  }
  check_text(checked);
}

void check_document(Read &r, unsigned which) {
  if (rendering_is_due) {
    r.make();
    check_rendering(r, which);
  }
}

// A document that was written once is read as the same ever after. Snapshots count as no findings.
void check_fixed_point(Read &r, bool has_findings) {
  if (!fixed_point_is_due) {
    return;
  }
  std::string const text = r.rendering(rf_document_json);
  Read once(text);
  RF_HOLDS(once.lost_nothing());
  RF_HOLDS(once.run.record_count == (has_findings ? r.document.count : 0));
  once.make();
  std::string const again = once.rendering(rf_document_json);
  Read twice(again);
  twice.make();
  RF_HOLDS(twice.rendering(rf_document_json) == again);
}

// Reports of other tools: each of their findings is a record as ours.
void check_foreign(const std::string &text) {
  for (auto *const read : {rf_foreign_read_asan, rf_foreign_read_valgrind}) {
    rf_bump_arena arena = {nullptr};
    rf_foreign found = {};
    read(&found, &arena, text.c_str(), text.size());
    for (size_t i = 0; i < found.count; i++) {
      std::string line;
      rf_sink const sink = ringfence::sink_to(&line);
      rf_foreign_put(&found.findings[i], "tool", rf_foreign_program(&found, &found.findings[i]), &sink);
      const rf_json *const json = rf_json_parse(&arena, line.data(), line.size());
      RF_HOLDS(json != nullptr && rf_record_read(&arena, json) != nullptr);
    }
    rf_bump_arena_free(&arena);
  }
}

void read_anything(Reader &in) {
  unsigned const what = in.u8();
  auto const form = static_cast<rf_input_form>(what % 3);
  std::string text;
  text.reserve(in.left());
  while (!in.empty()) {
    text += static_cast<char>(in.u8());
  }
  check_foreign(text);
  Read r(text, form);
  check_document(r, what / 3);
  check_fixed_point(r, true);
}

void read_back_json(Reader &in) {
  Findings findings(in);
  rf_symbolizer const symbolizer = findings.symbolizer();
  std::vector<std::string> written;
  std::string all;
  for (size_t left = in.below(3) + 1; left != 0; left--) {
    rf_finding const f = findings.next();
    std::string one;
    one.reserve(kUsualText);
    rf_sink const sink = ringfence::sink_to(&one);
    rf_report_json(&f, &symbolizer, &sink);
    written.push_back(one);
    all += (in.u8() % 2 == 1 ? "<6>host prog: " : "") + one;
  }
  Read r(all);
  RF_HOLDS(r.recognised && r.lost_nothing() && r.run.record_count == written.size());
  for (size_t i = 0; i < written.size(); i++) {
    RF_HOLDS(json_of(r.run.records[i]) == written[i]);
  }
  check_document(r, in.u8());
  check_fixed_point(r, true);
}

// ---- Over a serial line ----

bool same_text(const char *a, const char *b) {
  return a == nullptr || b == nullptr ? a == b : std::strcmp(a, b) == 0;
}

void check_trace(const rf_trace &t, const rf_trace &sent, const rf_stack &stack, const rf_symbolizer &symbolizer) {
  RF_HOLDS(t.thread == sent.thread && t.depth == sent.depth && stack.count == sent.depth);
  RF_HOLDS((t.site == nullptr) == (sent.site == nullptr));
  if (sent.site != nullptr) {
    RF_HOLDS(t.site->line == sent.site->line && same_text(t.site->file, sent.site->file));
    RF_HOLDS(same_text(t.site->function, sent.site->function));
  }
  for (unsigned i = 0; i < sent.depth; i++) {
    rf_frame_name name = {};
    RF_HOLDS(stack.frames[i].address == sent.frames[i]);
    if (symbolizer.name(symbolizer.context, sent.frames[i], 0, &name)) {
      RF_HOLDS(same_text(stack.frames[i].module, name.module) && stack.frames[i].offset == name.offset);
      RF_HOLDS(same_text(stack.frames[i].build_id, name.build_id));
    }
  }
}

void check_same(const rf_record &r, const rf_finding &sent, const rf_symbolizer &symbolizer) {
  const rf_finding &f = r.finding;
  RF_HOLDS(f.bug == sent.bug && f.cwe == sent.cwe && f.access == sent.access && f.access_size == sent.access_size);
  RF_HOLDS(f.at_access == sent.at_access && f.address == sent.address && f.block == sent.block && f.size == sent.size);
  RF_HOLDS(f.blocks == sent.blocks && f.freed == sent.freed && f.offset == sent.offset && f.argument == sent.argument);
  RF_HOLDS(same_text(f.allocator, sent.allocator) && same_text(f.mode, sent.mode) && same_text(f.detail, sent.detail));
  RF_HOLDS(same_text(f.allocation, sent.allocation) && same_text(f.deallocation, sent.deallocation));
  RF_HOLDS(f.process == sent.process && f.time_ns == sent.time_ns && f.sequence == sent.sequence);
  RF_HOLDS(f.window_size == sent.window_size && f.window_address == sent.window_address);
  RF_HOLDS(std::memcmp(f.window, sent.window, sent.window_size) == 0);
  RF_HOLDS(std::memcmp(f.expected, sent.expected, sent.window_size) == 0);
  RF_HOLDS(std::memcmp(f.window_class, sent.window_class, sent.window_size) == 0);
  check_trace(f.found, sent.found, r.found, symbolizer);
  check_trace(f.allocated, sent.allocated, r.allocated, symbolizer);
  check_trace(f.released, sent.released, r.released, symbolizer);
}

std::vector<std::string> lines_of(const std::string &text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    size_t const feed = text.find('\n', at);
    lines.push_back(text.substr(at, feed - at));
    at = feed == std::string::npos ? text.size() : feed + 1;
  }
  return lines;
}

void garble(char *c, size_t bit) {
  *c = static_cast<char>(static_cast<unsigned char>(*c) ^ 1U << bit);
}

// A bad line loses, garbles and repeats lines, and inserts others. True where anything was lost.
bool spoil(Reader &in, std::vector<std::string> *lines) {
  bool lost = false;
  for (size_t acts = in.below(6); acts != 0 && !lines->empty(); acts--) {
    size_t const i = in.below(lines->size());
    std::string &line = (*lines)[i];
    auto const at = lines->begin() + static_cast<ptrdiff_t>(i);
    switch (in.below(4)) {
    case 0:
      lost = lost || line[0] == '#';
      lines->erase(at);
      break;
    case 1:
      garble(&line[in.below(line.size())], in.below(3)); // a digit, a mark, or neither any more
      lost = true;
      break;
    case 2:
      lines->insert(at, line);
      break;
    default:
      lines->insert(at, "[12.3] sensor \"7\" {");
      break;
    }
  }
  return lost;
}

void read_back_serial(Reader &in) {
  Findings findings(in);
  rf_symbolizer const symbolizer = findings.symbolizer();
  std::vector<rf_finding> sent;
  std::string all;
  all.reserve(kUsualText);
  rf_sink const sink = ringfence::sink_to(&all);
  for (size_t left = in.below(3) + 1; left != 0; left--) {
    sent.push_back(findings.next());
    rf_report_serial(&sent.back(), &symbolizer, &sink);
  }
  std::vector<std::string> lines = lines_of(all);
  bool const lost = spoil(in, &lines);
  std::string text;
  for (const std::string &line : lines) {
    text += line + (in.u8() % 8 == 1 ? "\r\n" : "\n");
  }
  Read r(text);
  RF_HOLDS(lost || (r.lost_nothing() && r.run.record_count == sent.size()));
  RF_HOLDS(r.run.record_count <= sent.size() || lost);
  for (size_t i = 0; i < r.run.record_count; i++) {
    const rf_record &record = *r.run.records[i];
    auto const of = std::find_if(sent.begin(), sent.end(),
                                 [&](const rf_finding &f) { return f.sequence == record.finding.sequence; });
    RF_HOLDS(of != sent.end() && of->bug == record.finding.bug);
    bool const says =
        record.finding.detail != nullptr && std::strstr(record.finding.detail, "did not arrive") != nullptr;
    RF_HOLDS(lost || !says);
    if (!says) {
      check_same(record, *of, symbolizer);
    }
  }
  check_document(r, in.u8());
}

// ---- Snapshots ----

void read_back_snapshot(Reader &in) {
  Findings findings(in);
  rf_symbolizer const symbolizer = findings.symbolizer();
  std::array<rf_snapshot_site, 16> sites{};
  rf_snapshot snapshot;
  std::string const name = a_text(in);
  rf_snapshot_init(&snapshot, name.c_str(), sites.data(), 1 + in.below(sites.size()));
  snapshot.allocator = "tlsf";
  std::vector<rf_finding> places;
  for (size_t left = in.below(8); left != 0; left--) {
    places.push_back(findings.next());
    for (size_t blocks = in.below(4); blocks != 0; blocks--) {
      rf_snapshot_add(&snapshot, &places.back().found, in.length());
    }
  }
  std::string all;
  rf_sink const sink = ringfence::sink_to(&all);
  rf_serial_text framed;
  bool const serial = in.u8() % 2 == 1;
  rf_serial_text_init(&framed, &sink, 7);
  rf_snapshot_json(&snapshot, nullptr, in.u16(), &symbolizer, serial ? &framed.sink : &sink);
  Read r(all);
  RF_HOLDS(r.recognised && r.lost_nothing() && r.run.snapshot_count == 1);
  const rf_snapshot_table &table = *r.run.snapshots[0];
  RF_HOLDS(table.name == name && table.count == snapshot.count && table.omitted == snapshot.omitted_blocks);
  RF_HOLDS(table.blocks == static_cast<int64_t>(snapshot.blocks) &&
           table.bytes == static_cast<int64_t>(snapshot.bytes));
  int64_t bytes = static_cast<int64_t>(snapshot.omitted_bytes);
  for (size_t i = 0; i < table.count; i++) {
    RF_HOLDS(i == 0 || table.rows[i].bytes <= table.rows[i - 1].bytes);
    bytes += table.rows[i].bytes;
  }
  RF_HOLDS(bytes == table.bytes);
  check_document(r, in.u8());
  check_fixed_point(r, false);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  size_t const interval = comparison_interval(in);
  rendering_is_due = interval < 16;
  fixed_point_is_due = interval < 4;
  switch (in.u8() % 4) {
  case 0:
    read_anything(in);
    break;
  case 1:
    read_back_json(in);
    break;
  case 2:
    read_back_serial(in);
    break;
  default:
    read_back_snapshot(in);
    break;
  }
  return 0;
}
