// findings: readers take any file or console output without harm, and every rendering of it is well-formed. Findings
// written by the library are read back unchanged, also over a serial line that loses and garbles bytes.
#include "blocks_model.h"
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
#include <map>
#include <ringfence/fuzz/interpreter.h>
#include <ringfence/fuzz/reader.h>
#include <ringfence/report_json.h>
#include <ringfence/report_serial.h>
#include <ringfence/snapshot.h>
#include <string>
#include <vector>

namespace {

using ringfence::fuzz::Reader;

// ---- Reading and rendering ----

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

bool fixed_point_is_due;

#ifdef M_TRIM_THRESHOLD
// The readers' arenas are made anew for each input: their pages need not be.
[[maybe_unused]] const bool keeps_pages = mallopt(M_TRIM_THRESHOLD, 1 << 26) == 1 && mallopt(M_TOP_PAD, 1 << 22) == 1;
#endif

// The record as the library writes it: equal texts are equal records.
std::string json_of(rf_record *record) {
  std::string out;
  rf_record_trim(record, nullptr, true); // and hands the frames to the finding
  rf_sink const sink = ringfence::sink_to(&out);
  rf_symbolizer const symbolizer = rf_record_symbolizer(record);
  rf_report_json(&record->finding, &symbolizer, &sink);
  return out;
}

// Text that stops parsers and browsers.
void check_text(const std::string &text) {
  for (size_t i = 0; i < text.size();) {
    const auto *const at = reinterpret_cast<const unsigned char *>(text.data()) + i;
    unsigned const length = rf_utf8_length(at);
    RF_HOLDS(length != 0 && (*at >= 0x20 || *at == '\n' || *at == '\t'));
    i += length;
  }
}

// Tags are closed in reverse order, and attributes are quoted.
void check_xml(const std::string &text) {
  std::vector<std::string> open;
  size_t at = text.find("<body") != std::string::npos ? text.find("<body") : text.find("<testsuites");
  while ((at = text.find('<', at)) != std::string::npos) {
    size_t const end = text.find('>', at);
    RF_HOLDS(end != std::string::npos);
    std::string const tag = text.substr(at + 1, end - at - 1);
    RF_HOLDS(tag.find('<') == std::string::npos && std::count(tag.begin(), tag.end(), '"') % 2 == 0);
    std::string const name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag[0] == '/') {
      RF_HOLDS(!open.empty() && "/" + open.back() == tag);
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

// One rendering for each input, to be quick. The page goes without its style, which is constant.
void check_rendering(Read &r, unsigned which) {
  std::string text;
  switch (which % 4) {
  case 0:
    text = r.rendering(rf_document_junit);
    check_xml(text);
    break;
  case 1:
    text = r.rendering(rf_document_html);
    text.erase(0, text.find("<body"));
    check_xml(text);
    break;
  case 2:
    text = r.rendering(rf_document_sarif);
    RF_HOLDS(r.is_json(text));
    break;
  default:
    for (char const c : r.rendering(rf_document_text)) {
      RF_HOLDS((static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) || c == '\n' || c == '\t');
    }
    break;
  }
  check_text(text);
}

// A document that was written once is read as the same ever after. The dearest check: of one input in eight while
// fuzzing.
void check_fixed_point(const std::string &text, size_t findings) {
  if (!fixed_point_is_due) {
    return;
  }
  Read once(text);
  RF_HOLDS(once.lost_nothing());
  RF_HOLDS(once.run.record_count == findings);
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
      rf_foreign_put(&found.findings[i], "tool", &sink);
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
  while (!in.empty()) {
    text += static_cast<char>(in.u8());
  }
  check_foreign(text);
  Read r(text, form);
  r.make();
  check_rendering(r, what / 3);
  check_fixed_point(r.rendering(rf_document_json), r.document.count);
}

// ---- Findings as the library makes them ----

// Valid UTF-8 without NUL, of awkward characters: quotes, tags, control characters, other scripts.
std::string a_text(Reader &in) {
  static const std::array<const char *, 12> pieces = {
      "main",         "operator<<",       "\"", "\\", "<b>&", "\x01", "\x7F", "\xC3\xA4",
      "\xE2\x80\xAE", "\xF0\x9F\x90\x9B", "\n", " "};
  std::string out;
  for (size_t left = in.below(6); left != 0; left--) {
    size_t const piece = in.below(pieces.size() + 4);
    out +=
        piece < pieces.size() ? std::string(pieces[piece]) : std::string(in.below(40), static_cast<char>('a' + piece));
  }
  return out;
}

uint64_t a_number(Reader &in) {
  uint64_t value = 0;
  for (size_t bytes = in.below(9); bytes != 0; bytes--) {
    value = value << 8 | in.u8();
  }
  return value;
}

struct Name {
  std::string module, build_id, function, file;
  uint64_t offset;
  unsigned line;
  unsigned inlined;
  bool known;
};

class Findings {
public:
  explicit Findings(Reader &in) : in_(in) {
    for (std::string &text : texts_) {
      text = "t" + a_text(in_);
    }
    for (rf_site &site : sites_) {
      site = {texts_[in_.below(texts_.size())].c_str(), texts_[in_.below(texts_.size())].c_str(), in_.u16()};
    }
  }

  // Numbers count up, as a reporter's do.
  rf_finding next() {
    rf_finding f = {};
    f.bug = static_cast<rf_bug>(in_.below(RF_BUG_COUNT));
    f.cwe = in_.u16();
    f.access = static_cast<rf_access>(in_.below(4));
    f.access_size = static_cast<size_t>(a_number(in_));
    f.at_access = in_.u8() % 4 == 1;
    f.address = static_cast<uintptr_t>(a_number(in_));
    f.block = static_cast<uintptr_t>(a_number(in_));
    f.size = static_cast<size_t>(a_number(in_));
    if (f.block != 0) { // written only with a block
      f.blocks = static_cast<size_t>(a_number(in_));
      f.freed = in_.u8() % 2 == 1;
      f.offset = static_cast<ptrdiff_t>(a_number(in_));
    }
    f.argument = in_.u8() % 4 == 1 ? static_cast<size_t>(a_number(in_)) : 0;
    f.allocator = maybe();
    f.mode = maybe();
    if (f.cwe == 0 && f.allocator == nullptr && f.mode == nullptr) {
      f.mode = "guard"; // guard_small alone leaves all three out, and readers work them out
    }
    f.detail = maybe();
    f.allocation = maybe();
    f.deallocation = maybe();
    fill(&f.found, true);
    fill(&f.allocated, in_.u8() % 2 == 1);
    fill(&f.released, in_.u8() % 4 == 1);
    fill_window(&f);
    f.time_ns = a_number(in_);
    f.sequence = ++sequence_;
    f.process = in_.u16();
    return f;
  }

  rf_symbolizer symbolizer() { return {name, this}; }

private:
  const char *maybe() {
    size_t const which = in_.below(2 * texts_.size());
    return which < texts_.size() ? texts_[which].c_str() : nullptr;
  }

  void fill(rf_trace *t, bool known) {
    if (!known) {
      return;
    }
    size_t const site = in_.below(2 * sites_.size());
    t->thread = in_.u16();
    t->site = site < sites_.size() ? &sites_[site] : nullptr;
    t->depth = static_cast<unsigned>(in_.below(in_.u8() % 8 == 7 ? RF_TRACE_DEPTH + 1 : 5));
    for (unsigned i = 0; i < t->depth; i++) {
      t->frames[i] = 0x1000 + 16 * in_.below(64);
      know(t->frames[i]);
    }
    if (t->site == nullptr && t->depth == 0) {
      t->thread = 0; // not written for an unknown trace
    }
  }

  void know(uintptr_t pc) {
    if (names_.count(pc) != 0) {
      return;
    }
    Name &n = names_[pc];
    n.known = in_.u8() % 4 != 0;
    n.module = n.known ? "/" + a_text(in_) : "";
    n.build_id = n.module.size() % 2 == 1 ? "c0ffee" : ""; // each module has one
    n.offset = a_number(in_);
    n.function = in_.u8() % 2 == 1 ? "f" + a_text(in_) : "";
    n.file = in_.u8() % 2 == 1 ? a_text(in_) + ".c" : "";
    n.line = n.file.empty() ? 0 : in_.u16();
    n.inlined = static_cast<unsigned>(in_.below(3));
  }

  static bool name(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
    auto *const self = static_cast<Findings *>(context);
    *out = {};
    auto const found = self->names_.find(pc);
    if (found == self->names_.end() || !found->second.known || inlined > found->second.inlined) {
      return false;
    }
    const Name &n = found->second;
    out->module = n.module.c_str();
    out->build_id = n.build_id.empty() ? nullptr : n.build_id.c_str();
    out->offset = n.offset;
    out->function = n.function.empty() && inlined == 0 ? nullptr : n.function.c_str();
    out->file = n.file.empty() ? nullptr : n.file.c_str();
    out->line = n.line;
    return true;
  }

  void fill_window(rf_finding *f) {
    f->window_size = in_.u8() % 2 == 1 ? static_cast<unsigned>(in_.below(RF_WINDOW + 1)) : 0;
    f->window_address = f->window_size == 0 ? 0 : static_cast<uintptr_t>(a_number(in_));
    for (unsigned i = 0; i < f->window_size; i++) {
      f->window[i] = in_.u8();
      f->expected[i] = in_.u8();
      f->window_class[i] = static_cast<unsigned char>(f->window[i] % (RF_BYTE_BAD + 1));
    }
  }

  Reader &in_;
  std::array<std::string, 4> texts_;
  std::array<rf_site, 3> sites_{};
  std::map<uintptr_t, Name> names_;
  uint64_t sequence_ = 0;
};

void read_back_json(Reader &in) {
  Findings findings(in);
  rf_symbolizer const symbolizer = findings.symbolizer();
  std::vector<std::string> written;
  std::string all;
  for (size_t left = in.below(3) + 1; left != 0; left--) {
    rf_finding const f = findings.next();
    std::string one;
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
  r.make();
  check_rendering(r, in.u8());
  check_fixed_point(r.rendering(rf_document_json), r.document.count);
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
  r.make();
  check_rendering(r, in.u8());
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
  r.make();
  check_rendering(r, in.u8());
  check_fixed_point(r.rendering(rf_document_json), 0);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  fixed_point_is_due = comparison_interval(in) < 8;
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
