// reports: where findings go. The full reporter over a run of findings, suppressed or not, within each other, to files,
// full disks and standard error: the log is the renderings of those that count, in order. The small reporter of boards
// prints one line for each fact. Text that is kept over a reset comes whole or not at all.
#include "blocks_model.h"
#include "captured.h"
#include "generated_findings.h"
#include "tests/core/text_sink.h"

#include <array>
#include <cstring>
#include <ringfence/fuzz/interpreter.h>
#include <ringfence/kept.h>
#include <ringfence/report_json.h>
#include <ringfence/report_serial.h>
#include <ringfence/report_text.h>
#include <ringfence/reporter.h>
#include <string>
#include <sys/mman.h>
#include <vector>

// Whether modules are loaded and functions named, and standard error is a file: of one input in sixteen, which its
// bytes choose, while fuzzing. The executable is mapped for each name.
extern "C" bool rf_fuzz_loads_modules;
bool rf_fuzz_loads_modules = true;

namespace {

using namespace ringfence::fuzz;

// Bazel's folder for artifacts is a case of its own below.
[[maybe_unused]] int const no_artifacts = unsetenv("TEST_UNDECLARED_OUTPUTS_DIR");

std::string rendering(rf_format format, const rf_finding &f) {
  std::string out;
  rf_sink const sink = ringfence::sink_to(&out);
  switch (format) {
  case RF_FORMAT_JSON:
    rf_report_json(&f, nullptr, &sink);
    break;
  case RF_FORMAT_SERIAL:
    rf_report_serial(&f, nullptr, &sink);
    break;
  case RF_FORMAT_TEXT:
    rf_report_text(&f, nullptr, &sink);
    break;
  }
  return out;
}

size_t count_of(const std::string &text, const std::string &part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    count++;
  }
  return count;
}

// ---- The full reporter ----

enum class Place { kFile, kFileOfProcess, kStandardError, kNoFolder, kLongPath, kFullDisk, kCount };

// A reporter, and what it must have written.
class Run {
public:
  explicit Run(Reader &in) : in_(in), findings_(in), place_(static_cast<Place>(in.below(size_t(Place::kCount)))) {
    rf_report_options options;
    rf_report_options_default(&options);
    options.halt = in.u8() % 8 == 1;
    options.abort = in.u8() % 8 == 1;
    options.format = static_cast<rf_format>(in.below(3));
    options.max_findings = static_cast<unsigned>(in.below(5));
    artifacts_ = in.u8() % 8 == 1;
    name_log();
    make_suppressions();
    options.log = place_ == Place::kStandardError ? nullptr : log_.c_str();
    options.log_length = log_.size();
    options.suppressions = suppressions_.empty() ? nullptr : suppressions_.c_str();
    options.suppressions_length = suppressions_.size();
    rf_log_reporter_init(&reporter_, &options);
  }
  ~Run() {
    // After an odd number of findings the program has closed the log, and has a file of its own under the number.
    int const number = reporter_.fd;
    bool const other = number >= 0 && reporter_.base.sequence % 2 == 1 && dup2(STDERR_FILENO, number) == number;
    if (other) {
      rf_log_reporter_write(&reporter_, "\n", 1);
    }
    rf_log_reporter_close(&reporter_);
    RF_HOLDS(!other || close(number) == 0);
    if (reporter_.suppressions.rules != nullptr) { // the reporter keeps them for as long as the process lives
      (void)munmap(reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(reporter_.suppressions.rules[0].pattern) &
                                            ~uintptr_t{4095}),
                   rules_.size() + 1);
      (void)munmap(reporter_.suppressions.rules, reporter_.suppressions.capacity * sizeof(rf_suppression));
    }
    remove_written(read_from_, place_ == Place::kFile || place_ == Place::kFileOfProcess);
    remove_written(artifact_, artifacts_);
  }
  Run(const Run &) = delete;
  Run &operator=(const Run &) = delete;

  void run() {
    std::string said;
    setenv("TEST_UNDECLARED_OUTPUTS_DIR", artifacts_ ? Folder::path().c_str() : "relative", 1);
    {
      StandardError error;
      for (size_t left = in_.below(8); left != 0; left--) {
        step();
      }
      said = error.text();
    }
    unsetenv("TEST_UNDECLARED_OUTPUTS_DIR");
    check(said);
  }

private:
  // The next input begins without it; most have not made it.
  static void remove_written(const std::string &path, bool may_be_there) {
    if (may_be_there) {
      (void)std::remove(path.c_str());
    }
  }

  void name_log() {
    static const std::string process = std::to_string(getpid());
    static const std::string file = Folder::path() + "/log";
    static const std::string of_process = file + process;
    artifact_ = Folder::path() + "/ringfence-" + process + ".jsonl";
    static const std::string full = "/dev/full";
    read_from_ = place_ == Place::kFileOfProcess ? of_process : file;
    log_ = place_ == Place::kFileOfProcess ? file + "%p"
           : place_ == Place::kNoFolder    ? Folder::path() + "/none/log"
           : place_ == Place::kLongPath    ? file + std::string(600, 'x')
           : place_ == Place::kFullDisk    ? full
                                           : file;
  }

  // A rule comes first that fits nothing, so that there always is one; then one for each of some names.
  void make_suppressions() {
    unsigned const kind = in_.u8() % 4;
    if (kind == 1) {
      suppressions_ = Folder::path() + "/no-such-file";
    } else if (kind == 2) {
      static const std::array<const char *, 5> starts = {"*:", "leak:", "double-free:", "", "nonsense:"};
      rules_ = "leak:^fits-nothing$\n";
      for (size_t left = in_.below(4); left != 0; left--) {
        rules_ += starts[in_.below(starts.size())];
        rules_ += "^t" + a_text(in_) + "\n";
      }
      suppressions_ = Folder::path() + "/rules";
      write_file(suppressions_, rules_);
      parsed_.resize(rf_suppressions_count(rules_.data(), rules_.size()));
      rf_sink const sink = ringfence::sink_to(&warnings_);
      reference_ = {parsed_.data(), parsed_.size(), 0};
      rf_suppressions_parse(&reference_, rules_.data(), rules_.size(), suppressions_.c_str(), &sink);
    }
  }

  bool is_hidden(const rf_finding &f) {
    rf_suppression *const rule = rf_suppressions_match(&reference_, &f, nullptr);
    if (rule != nullptr) {
      rule->used++;
      rule->bytes += f.bug == RF_BUG_LEAK ? f.size : 0;
    }
    return rule != nullptr;
  }

  // The reporter is asked as a checker asks it, but where it would end the process.
  void report() {
    rf_finding f = findings_.next();
    if (reporter_.options.halt) {
      f.sequence = ++reporter_.base.sequence;
      rf_action const action = reporter_.base.report(&reporter_.base, &f);
      bool const hidden = expect(f);
      held_ = held_ && action == (hidden ? RF_ACTION_CONTINUE : RF_ACTION_HALT);
      return;
    }
    rf_report(&reporter_.base, &f);
    held_ = held_ && f.process == static_cast<uint32_t>(getpid()) && f.found.thread != 0;
    (void)expect(f);
  }

  // Records for programs to read that their file does not take: of a finding, standard error gets a text.
  bool is_lost() const {
    bool const taken = place_ == Place::kFile || place_ == Place::kFileOfProcess || place_ == Place::kStandardError;
    return reporter_.options.format == RF_FORMAT_JSON && !taken;
  }

  void expect_text(const std::string &text) {
    expected_ += text;
    was_asked_ = was_asked_ || !text.empty();
  }

  // Returns whether a rule hides it.
  bool expect(const rf_finding &f) {
    unsigned const most = reporter_.options.max_findings;
    if (is_hidden(f)) {
      return true;
    }
    sequence_++;
    held_ = held_ && f.sequence == sequence_;
    if (most == 0 || f.sequence <= most) {
      expect_text(rendering(is_lost() ? RF_FORMAT_TEXT : reporter_.options.format, f));
      artifact_text_ += within_ ? "" : rendering(RF_FORMAT_JSON, f);
    }
    if (f.sequence == most && !reporter_.options.halt) {
      static const std::string limit = "ringfence: max_findings reached; further findings are counted only\n";
      (reporter_.options.format == RF_FORMAT_TEXT ? expected_ : limit_) += limit;
    }
    return false;
  }

  void step() {
    switch (in_.below(6)) {
    case 0:
      render();
      break;
    case 1: {
      std::string const text = a_text(in_) + "\n";
      rf_log_reporter_write(&reporter_, text.data(), text.size());
      expect_text(text);
      break;
    }
    case 2:
      render_to_buffer();
      break;
    default:
      report();
      break;
    }
  }

  // A finding while another text is being written goes before that text.
  void render() {
    std::string const text = a_text(in_) + "\n";
    texts_ = {text, in_.u8() % 2 == 1};
    bool const written = rf_log_reporter_render(&reporter_, write, this);
    held_ = held_ && written;
    expect_text(texts_.text);
    if (is_lost()) {
      expected_.resize(expected_.size() - texts_.text.size());
    }
  }

  static void write(void *self, const rf_symbolizer *symbolizer, const rf_sink *sink) {
    auto *const run = static_cast<Run *>(self);
    rf_frame_name name = {};
    if (rf_fuzz_loads_modules) {
      (void)symbolizer->name(symbolizer->context, reinterpret_cast<uintptr_t>(&count_of) + 1, 0, &name);
      run->held_ = run->held_ && name.module != nullptr && name.module[0] == '/';
    }
    run->held_ = run->held_ && !symbolizer->name(symbolizer->context, 1, 0, &name);
    rf_sink_str(sink, run->texts_.text.c_str());
    if (run->texts_.nested) {
      run->within_ = true;
      run->report();
      run->render_to_buffer();
      run->held_ = run->held_ && !rf_log_reporter_render(&run->reporter_, write, self);
      run->within_ = false;
    }
  }

  // Text for reporters of one's own: as much as there is room for.
  void render_to_buffer() {
    rf_finding const f = findings_.next();
    std::string const whole = rendering(RF_FORMAT_TEXT, f);
    std::vector<char> room(1 + in_.length());
    size_t const length = rf_reporter_text(&f, room.data(), room.size());
    held_ = held_ && length < room.size() && room[length] == '\0' && whole.compare(0, length, room.data()) == 0;
    held_ = held_ && (length == whole.size() || length + 1 == room.size());
  }

  void check(const std::string &said) {
    bool const to_file = place_ == Place::kFile || place_ == Place::kFileOfProcess;
    std::string const log = to_file ? read_file(read_from_) : said;
    RF_HOLDS(held_);
    if (to_file) {
      RF_HOLDS(log == expected_);
    } else {
      std::string rest = said;
      drop(&rest, limit_);
      drop_warnings(&rest);
      RF_HOLDS(rest == expected_);
    }
    RF_HOLDS(count_of(said, "ringfence: cannot append to ") ==
             ((place_ == Place::kNoFolder || place_ == Place::kLongPath) && was_asked_ ? 1 : 0));
    RF_HOLDS(reporter_.base.sequence == sequence_);
    std::string const artifact = artifacts_ ? read_file(artifact_) : "";
    RF_HOLDS(artifact == (artifacts_ && place_ == Place::kStandardError ? artifact_text_ : ""));
    check_rules();
  }

  void check_rules() {
    RF_HOLDS(reporter_.suppressions.count == (reporter_.suppressions_read ? reference_.count : 0));
    for (size_t i = 0; i < reporter_.suppressions.count; i++) {
      RF_HOLDS(reporter_.suppressions.rules[i].used == reference_.rules[i].used);
      RF_HOLDS(reporter_.suppressions.rules[i].bytes == reference_.rules[i].bytes);
    }
  }

  static void drop(std::string *text, const std::string &part) {
    size_t const at = part.empty() ? std::string::npos : text->find(part);
    if (at != std::string::npos) {
      text->erase(at, part.size());
    }
  }

  // Lines on files that cannot be opened, and on rules.
  void drop_warnings(std::string *text) const {
    drop(text, "ringfence: cannot append to " + log_.substr(0, 511) + "; findings go to standard error\n");
    drop(text, "ringfence: cannot read the suppressions " + suppressions_ + "; nothing is suppressed\n");
    drop(text, warnings_);
  }

  struct Texts {
    std::string text;
    bool nested;
  };

  Reader &in_;
  Findings findings_;
  Place place_;
  rf_log_reporter reporter_{};
  std::string log_, read_from_, suppressions_, rules_, artifact_;
  std::vector<rf_suppression> parsed_;
  rf_suppressions reference_{};
  Texts texts_{};
  std::string expected_, artifact_text_, limit_, warnings_;
  uint64_t sequence_ = 0;
  bool artifacts_ = false;
  bool within_ = false;
  bool was_asked_ = false;
  bool held_ = true;
};

// ---- The small reporter ----

void report_plainly(Reader &in) {
  Findings findings(in);
  rf_finding const f = findings.next();
  rf_reporter *const plain = rf_reporter_plain();
  StandardError error;
  rf_action const action = plain->report(plain, &f);
  std::string const text = error.text();
  RF_HOLDS(action == RF_ACTION_HALT);
  RF_HOLDS(text.find("==" + std::to_string(f.process) + "==ERROR: Ringfence: " + rf_bug_name(f.bug)) == 0);
  bool const accessed = f.access == RF_ACCESS_READ || f.access == RF_ACCESS_WRITE;
  RF_HOLDS((count_of(text, " by thread T") == 1) == accessed);
  size_t distance = 0;
  std::string const relation = rf_finding_relation(&f, &distance);
  std::string const block =
      "  " + std::to_string(distance) + " bytes " + relation + " " + std::to_string(f.size) + "-byte region at 0x";
  RF_HOLDS((text.find(block) != std::string::npos) == (f.block != 0));
  RF_HOLDS(text.back() == '\n');
  for (const auto &[name, trace] :
       {std::pair{"  found:", &f.found}, std::pair{"  allocated:", &f.allocated}, std::pair{"  freed:", &f.released}}) {
    bool const known = trace->site != nullptr || trace->depth != 0;
    RF_HOLDS((text.find(name) != std::string::npos) == known);
  }
}

// ---- Kept over a reset ----

void keep(Reader &in) {
  rf_kept kept;
  std::memset(&kept, in.u8(), sizeof kept);
  std::string expected;
  uint32_t lost = 0;
  bool whole = false; // memory of a cold start holds nothing
  while (!in.empty()) {
    unsigned const what = in.u8();
    if (what % 4 == 0) {
      std::string out;
      rf_sink const sink = ringfence::sink_to(&out);
      bool const asked = what % 8 == 0;
      bool const any = rf_kept_begin(&kept, asked ? &sink : nullptr);
      RF_HOLDS(any == (whole && (!expected.empty() || lost != 0)));
      if (lost != 0) {
        expected += std::to_string(lost) + " pieces of text before the reset did not fit\n";
      }
      RF_HOLDS(out == (any && asked ? expected : ""));
      expected.clear();
      lost = 0;
      whole = true;
    } else if (what % 4 == 1 && whole) {
      auto *const bytes = reinterpret_cast<unsigned char *>(&kept.used);
      bytes[in.below(3 * sizeof(uint32_t) + expected.size())] ^= static_cast<unsigned char>(1U << in.below(8));
      whole = false;
    } else if (whole) {
      std::string const piece(in.below(RF_KEPT_BYTES + 8), static_cast<char>('a' + what % 26));
      rf_sink_mem(&kept.sink, piece.data(), piece.size());
      bool const fits = expected.size() + piece.size() <= RF_KEPT_BYTES;
      expected += fits ? piece : "";
      lost += fits ? 0 : 1;
    }
  }
}

// ---- Facts of findings ----

void ask_facts(Reader &in) {
  Findings findings(in);
  rf_finding f = findings.next();
  f.bug = static_cast<rf_bug>(in.below(RF_BUG_COUNT + 2));
  rf_bug again = RF_BUG_COUNT;
  std::string const name = rf_bug_name(f.bug);
  bool const known = rf_bug_from_name(name.data(), name.size(), &again);
  RF_HOLDS(known == (f.bug < RF_BUG_COUNT) && (!known || again == f.bug));
  RF_HOLDS((rf_bug_cwe(f.bug, RF_ACCESS_READ) != 0) == known && (rf_bug_cwe(f.bug, RF_ACCESS_WRITE) != 0) == known);
  unsigned const byte_class = in.u8();
  RF_HOLDS((rf_byte_letter(byte_class) == '?') == (byte_class >= RF_BYTE_LEFT_OUT));
  rf_finding other = f;
  other.address++;
  other.sequence++;
  RF_HOLDS(rf_finding_key(&f) == rf_finding_key(&other));
  const rf_trace *const place = rf_finding_place(&f);
  bool const allocated = f.allocated.site != nullptr || f.allocated.depth != 0;
  bool const found = f.found.site != nullptr || f.found.depth != 0;
  RF_HOLDS(place == &f.found || (place == &f.allocated && allocated && !(f.at_access && found)));
  RF_HOLDS(!f.at_access || !rf_bug_is_crash(f.bug) || place == &f.found);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  rf_fuzz_loads_modules = comparison_interval(in) == 1;
  captures_in_memory = !rf_fuzz_loads_modules;
  switch (in.u8() % 8) {
  case 0:
    report_plainly(in);
    break;
  case 1:
    keep(in);
    break;
  case 2:
    ask_facts(in);
    break;
  default: {
    Run run(in);
    run.run();
    break;
  }
  }
  return 0;
}
