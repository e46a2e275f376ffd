// collector: a process's messages to a collector. Findings that come again and again, that interrupt others, are too
// long, or come from a child of vfork; other records; call sites: each line of the spool is one record of JSON, its
// finding is the one that was made, and what is told, counted and dropped is all that there was. The sender's fields,
// and policies, each against a second reading.
#include "blocks_model.h"
#include "captured.h"
#include "collector_parts.h"
#include "generated_findings.h"
#include "tests/core/text_sink.h"

#include "checkers/os/seen_sites.h"
#include "checkers/report/collector.h"
#include "tools/ringfence/base/json.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <ringfence/fuzz/interpreter.h>
#include <ringfence/report_json.h>
#include <ringfence/reporter.h>
#include <set>
#include <string>
#include <sys/wait.h>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// memory_spool.c asks it, where it is linked.
extern "C" bool rf_fuzz_takes_record(const char *line, size_t size);

bool ringfence::fuzz::files_are_due = true;

namespace {

using namespace ringfence::fuzz;

constexpr unsigned kFirst = 2; // findings of a key that are told in full

const std::string &folder() {
  static const std::string path = Folder::path() + "/collector";
  return path;
}

const std::string &spool() {
  static const std::string path = folder() + "/spool/current";
  return path;
}

// The text of the spool's file, while files are not due.
std::string records;

// A process has one collector, for all inputs.
bool begin() {
  rf_collector_options options = {};
  options.folder = {folder().c_str(), folder().size()};
  options.environment = {"ci", 2};
  options.version = {"1.0", 3};
  options.commit = {"c0ffee", 6};
  options.labels = {"a=b", 3};
  options.windows = RF_COLLECTOR_GUARDS;
  options.first = kFirst;
  options.mode = "guard";
  RF_HOLDS(rf_collector_begin(&options) && !rf_collector_begin(&options) && rf_collector_is_named());
  rf_seen_sites_begin();
  return true;
}

// A collector gets guard bytes of the window, and bytes written over them; all others are zero.
rf_finding masked(rf_finding f) {
  for (unsigned i = 0; i < f.window_size; i++) {
    if (f.window_class[i] != RF_BYTE_GUARD && f.window_class[i] != RF_BYTE_BAD) {
      f.window[i] = 0;
      f.expected[i] = 0;
      f.window_class[i] = RF_BYTE_LEFT_OUT;
    }
  }
  return f;
}

class Session {
public:
  explicit Session(Reader &in) : in_(in), findings_(in), symbolizer_(findings_.symbolizer()) {
    if (spool_is_left) {
      write_file(spool(), "");
    }
    spool_is_left = false;
    records.clear();
    rf_collector_forked();
    rf_seen_sites_forget();
  }

  void run() {
    put(make());
    for (size_t left = in_.below(24); left != 0; left--) {
      step();
    }
    end();
    check();
  }

private:
  struct Made {
    rf_finding finding;
    bool too_long;
  };

  // How often a bug came, and how often in full.
  struct Count {
    uint64_t times = 0;
    uint64_t told = 0;
  };

  Made make() {
    if (!made_.empty() && in_.u8() % 2 == 1) { // the same bug again
      Made again = made_[in_.below(made_.size())];
      again.finding.sequence += 1000;
      return again;
    }
    Made one = {findings_.next(), in_.u8() % 16 == 1};
    if (one.too_long) {
      static const std::string text(size_t{140} * 1024, 'x');
      one.finding.detail = text.c_str();
    }
    made_.push_back(one);
    return one;
  }

  void step() {
    switch (in_.below(9)) {
    case 0:
      record();
      break;
    case 1:
      rf_collector_step(static_cast<uint32_t>(in_.u8()), "swept");
      others_.insert("step");
      break;
    case 2:
      put_from_child();
      break;
    case 3:
    case 4:
      see_site();
      break;
    case 5:
      put_by_reporter();
      break;
    case 6:
      for (size_t left = in_.below(9); left != 0; left--) { // one bug, time after time
        put(made_.back());
      }
      break;
    default:
      put(make());
      break;
    }
  }

  // The model: the first of each bug in full, the others counted, and dropped where nothing is told of the bug.
  bool expect(const Made &made) {
    uint64_t const key = rf_finding_key(&made.finding);
    Count &count = counts_[key];
    puts_++;
    if (count.times < kFirst) {
      RF_HOLDS(rf_collector_wants_names(&made.finding));
      dropped_ += made.too_long ? 1 : 0;
      count.times += made.too_long ? 0 : 1;
      count.told = count.times;
      return !made.too_long;
    }
    RF_HOLDS(!rf_collector_wants_names(&made.finding));
    count.times++;
    return false;
  }

  void expect_text(const rf_finding &finding, const rf_symbolizer *symbolizer) {
    std::string text;
    rf_sink const sink = ringfence::sink_to(&text);
    rf_finding const shown = masked(finding);
    rf_report_json(&shown, symbolizer, &sink);
    text.pop_back();
    texts_.push_back(text);
  }

  void put(const Made &made) {
    if (expect(made)) {
      expect_text(made.finding, &symbolizer_);
    }
    rf_collector_put(&made.finding, &symbolizer_);
  }

  // Names by the process's own modules, which the frames are not in.
  void put_by_reporter() {
    Made const made = make();
    if (expect(made)) {
      expect_text(made.finding, nullptr);
    }
    rf_log_reporter_collect(&made.finding);
  }

  // A child of vfork has this process's memory, but not its counts. Under ThreadSanitizer vfork is fork.
  void put_from_child() {
    Made const made = make();
    if (made.too_long) {
      return;
    }
    expect_text(made.finding, &symbolizer_);
    from_children_++;
    volatile bool shares_memory = false;
    pid_t const child = vfork();
    if (child == 0) {
      shares_memory = true;
      rf_collector_put(&made.finding, &symbolizer_);
      _exit(0);
    }
    RF_HOLDS(child > 0);
    pid_t ended = 0;
    do {
      ended = waitpid(child, nullptr, 0);
    } while (ended < 0 && errno == EINTR); // the fuzzer's alarm
    RF_HOLDS(ended == child);
    puts_ += shares_memory ? 1 : 0;
    if (!shares_memory && !files_are_due) { // its record went with its memory
      texts_.pop_back();
    }
  }

  // A record of another kind; a finding while it is made is dropped.
  void record() {
    unsigned const how = in_.u8();
    interrupted_ = how % 4 == 1;
    refused_ = how % 8 == 2;
    bool const told = how % 2 == 0 ? rf_collector_record("heap", &symbolizer_, write, this)
                                   : rf_log_reporter_collect_record("heap", write, this);
    RF_HOLDS(told == !refused_ && held_);
    if (told) {
      others_.insert("heap");
    }
  }

  static bool write(rf_sink_buffer *line, const rf_symbolizer *symbolizer, void *context) {
    auto *const self = static_cast<Session *>(context);
    rf_frame_name name = {};
    (void)symbolizer->name(symbolizer->context, reinterpret_cast<uintptr_t>(&folder) + 1, 0, &name);
    rf_sink_str(&line->sink, "{\"value\":7}");
    if (self->interrupted_) {
      rf_collector_put(&self->made_[0].finding, nullptr);
      rf_collector_step(1, "never");
      self->held_ = self->held_ && !rf_collector_record("heap", symbolizer, write, context);
      self->dropped_++;
    }
    return !self->refused_;
  }

  // Call sites of the program, of the C library, and of no module; some with blocks on pages.
  void see_site() {
    static const uintptr_t bases[] = {reinterpret_cast<uintptr_t>(&LLVMFuzzerTestOneInput),
                                      reinterpret_cast<uintptr_t>(dlsym(RTLD_DEFAULT, "strtoull")), 0x1000};
    size_t const which = in_.below(3);
    uintptr_t const caller = bases[which] + 1 + in_.below(64);
    unsigned const blocks = static_cast<unsigned>(in_.below(4));
    rf_seen_sites_add(caller, in_.u8() % 8 == 1);
    rf_seen_sites_add(0, false);
    for (unsigned i = 0; i < blocks; i++) {
      rf_seen_sites_watch(caller);
    }
    if (blocks != 0 && which != 2) {
      watched_[caller] += blocks;
    }
  }

  void end() {
    unsigned const how = in_.u8();
    rf_collector_run const run = {.duration_ns = 1234567890,
                                  .allocations = 5,
                                  .bytes = 6,
                                  .peak = 7,
                                  .findings = puts_,
                                  .leaks_unchecked = how % 4 == 1 ? "why" : nullptr,
                                  .blocks_unchecked = nullptr,
                                  .exit = how % 16 == 3  ? nullptr
                                          : how % 3 == 0 ? "status"
                                                         : "unknown",
                                  .number = 3,
                                  .continued = how % 8 == 4};
    summary_ = how % 2 == 0 || run.exit != nullptr;
    RF_HOLDS(rf_collector_end(how % 2 == 0 ? nullptr : &run));
    exit_ = how % 2 == 0 ? "unknown" : run.exit == nullptr ? "" : how % 3 == 0 ? "status 3" : "unknown";
  }

  // ---- The spool ----

  void check() {
    std::string const text = records.empty() ? read_file(spool()) : records;
    spool_is_left = records.empty() && !text.empty();
    RF_HOLDS(text.empty() || text.back() == '\n');
    rf_bump_arena arena = {nullptr};
    for (size_t at = 0; at < text.size();) {
      size_t const end = text.find('\n', at);
      const rf_json *const record = rf_json_parse(&arena, text.data() + at, end - at);
      RF_HOLDS(record != nullptr);
      check_record(record, text.substr(at, end - at));
      at = end + 1;
    }
    rf_bump_arena_free(&arena);
    check_sums();
  }

  void check_record(const rf_json *record, const std::string &line) {
    std::string const kind = rf_json_text(record, "record", "");
    RF_HOLDS(rf_json_unsigned(record, "version", 0) == 1 && ids_.insert(rf_json_text(record, "id", "")).second);
    RF_HOLDS(std::strcmp(rf_json_text(record, "environment", ""), "ci") == 0);
    RF_HOLDS(std::strcmp(rf_json_text(rf_json_member(record, "labels"), "a", ""), "b") == 0);
    RF_HOLDS(std::strcmp(rf_json_text(rf_json_member(record, "build"), "commit", ""), "c0ffee") == 0);
    dropped_told_ += rf_json_unsigned(record, "dropped", 0);
    if (kind == "finding") {
      RF_HOLDS(next_text_ < texts_.size());
      RF_HOLDS(line.find("\"finding\":" + texts_[next_text_++] + "}") != std::string::npos);
      told_ += rf_json_unsigned(record, "count", 0);
    } else if (kind == "repeat") {
      RF_HOLDS(ids_.count(rf_json_text(record, "of", "")) == 1);
      repeated_ += rf_json_unsigned(record, "count", 0);
    } else if (kind == "summary") {
      check_summary(record);
    } else {
      auto const other = others_.find(kind);
      RF_HOLDS(other != others_.end());
      others_.erase(other);
      RF_HOLDS(kind != "heap" || rf_json_unsigned(rf_json_member(record, "heap"), "value", 0) == 7);
    }
  }

  void check_summary(const rf_json *record) {
    RF_HOLDS(summary_ && exit_ == rf_json_text(record, "exit", ""));
    RF_HOLDS(rf_json_unsigned(record, "findings", 0) == puts_);
    for (const rf_json *m = rf_json_list(record, "sites"); m != nullptr; m = m->next) {
      Dl_info own = {};
      bool const is_libc = std::strstr(rf_json_text(m, "path", ""), "libc.so") != nullptr;
      RF_HOLDS(dladdr(is_libc ? dlsym(RTLD_DEFAULT, "strtoull") : reinterpret_cast<void *>(&folder), &own) != 0);
      auto const base = reinterpret_cast<uintptr_t>(own.dli_fbase);
      check_watched(rf_json_list(m, "watched"), base);
      check_watched(rf_json_list(m, "again"), base);
    }
    RF_HOLDS(watched_.empty()); // each was told
    summary_ = false;
  }

  // Lists of [offset, blocks].
  void check_watched(const rf_json *site, uintptr_t base) {
    for (; site != nullptr; site = site->next) {
      RF_HOLDS(site->first != nullptr && site->first->next != nullptr);
      auto const watched = watched_.find(base + static_cast<uintptr_t>(std::stoull(site->first->text)));
      RF_HOLDS(watched != watched_.end() && watched->second == std::stoull(site->first->next->text));
      watched_.erase(watched);
    }
  }

  void check_sums() {
    uint64_t repeated = 0;
    for (const auto &[key, count] : counts_) {
      repeated += count.times - count.told;
    }
    RF_HOLDS(!summary_ && others_.empty() && next_text_ == texts_.size() && told_ == texts_.size());
    RF_HOLDS(repeated_ == repeated);
    RF_HOLDS(exit_.empty() ? dropped_told_ <= dropped_ : dropped_told_ == dropped_);
    RF_HOLDS(told_ + repeated_ + dropped_ >= puts_);
  }

  static inline bool spool_is_left = true; // by a session before

  Reader &in_;
  Findings findings_;
  rf_symbolizer symbolizer_;
  std::vector<Made> made_;
  std::map<uint64_t, Count> counts_;
  std::vector<std::string> texts_; // of findings, in order
  std::multiset<std::string> others_;
  std::map<uintptr_t, uint64_t> watched_;
  std::set<std::string> ids_;
  std::string exit_;
  uint64_t puts_ = 0, dropped_ = 0, from_children_ = 0;
  uint64_t told_ = 0, repeated_ = 0, dropped_told_ = 0;
  size_t next_text_ = 0;
  bool interrupted_ = false;
  bool refused_ = false;
  bool summary_ = false;
  bool held_ = true;
};

void collect(Reader &in) {
  static const bool begun = begin();
  RF_HOLDS(begun);
  Session session(in);
  session.run();
}

} // namespace

extern "C" bool rf_fuzz_takes_record(const char *line, size_t size) {
  if (!files_are_due) {
    records.append(line, size);
  }
  return !files_are_due;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  files_are_due = comparison_interval(in) < 8;
  switch (in.u8() % 4) {
  case 0:
    check_identity(in);
    break;
  case 1:
    check_policy(in);
    break;
  default:
    collect(in);
    break;
  }
  return 0;
}
