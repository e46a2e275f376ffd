// main() for fuzz harnesses without libFuzzer: runs the harness once on each input named on the command line: loose
// files, folders, NAME.seeds, NAME.seeds:LINE and NAME.seeds:NAME. Any compiler builds it; `bazel test` replays corpora
// with it.
//
// --nudges=N: where the input is a schedule of threads, so many other schedules of each are run, too; 10 unless given.
//
// Under Bazel's shard_count each shard replays its share of the inputs: TEST_TOTAL_SHARDS, TEST_SHARD_INDEX.
//
// --speed[=SECONDS] before the inputs measures: executions per processor second, as a fuzzer makes them, of the inputs
// with at most 32 operations.
//
// Exit status: 0 after all inputs, 1 without inputs or with an unreadable one, 2 on misuse. On a finding it prints the
// name of the input and dies by the signal.
#include "seed_file.h"

#include <ringfence/fuzz/interpreter.h>
#include <ringfence/fuzz/target.h>
#include <ringfence/track.h>

#include <algorithm>
#include <cinttypes>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <unistd.h>
#include <vector>

// Sanitizers end the process without a signal, but call back before.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

// Defined by a harness that tests the bounds which allocators announce.
extern "C" const char rf_fuzz_keeps_bounds __attribute__((weak));

// Defined where the input is a schedule of threads (threads.h).
extern "C" void rf_fuzz_nudge(uint32_t number) __attribute__((weak));

namespace {

// The name of the running input. A fixed buffer, because the handlers read it while the process dies.
char current[4096];

void name_input() {
  static const char kText[] = "fuzz: failed on input ";
  (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
  (void)!write(STDERR_FILENO, current, strlen(current));
  (void)!write(STDERR_FILENO, "\n", 1);
}

void on_signal(int signal) {
  name_input();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void watch_for_death() {
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(name_input);
    std::signal(SIGABRT, on_signal);
    return;
  }
  for (int const signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) {
    std::signal(signal, on_signal);
  }
}

void run_input(const ringfence::fuzz::Input &input, uint32_t nudges = 0) {
  snprintf(current, sizeof current, "%s", input.name.c_str());
  std::vector<uint8_t> const bytes(input.bytes.begin(), input.bytes.end()); // of exactly this size, which ASan watches
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  for (uint32_t i = 1; &rf_fuzz_nudge != nullptr && i <= nudges; i++) {
    snprintf(current, sizeof current, "%s, nudge %" PRIu32, input.name.c_str(), i);
    rf_fuzz_nudge(i);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  if (&rf_fuzz_nudge != nullptr) {
    rf_fuzz_nudge(0);
  }
}

// The environment's number, or `otherwise` where there is none.
unsigned long number_of(const char *name, unsigned long otherwise) {
  const char *const text = getenv(name);
  return text != nullptr && *text != '\0' ? strtoul(text, nullptr, 10) : otherwise;
}

// Inputs of this shard: those of a seed file take unequal times, and neighbours similar ones, so each shard has every
// n-th. Bazel counts a shard as failed unless the file that it names shows that the program shares the inputs out.
std::vector<ringfence::fuzz::Input> share_of(const std::vector<ringfence::fuzz::Input> &all) {
  size_t const shards = std::max(number_of("TEST_TOTAL_SHARDS", 1), 1UL);
  if (const char *const seen = getenv("TEST_SHARD_STATUS_FILE"); seen != nullptr) {
    if (FILE *const file = fopen(seen, "w"); file != nullptr) {
      fclose(file);
    }
  }
  std::vector<ringfence::fuzz::Input> share;
  for (size_t i = number_of("TEST_SHARD_INDEX", 0); i < all.size(); i += shards) {
    share.push_back(all[i]);
  }
  return share;
}

using Bytes = std::vector<uint8_t>;

double processor_seconds() {
  timespec now = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// The best of some rounds: others only delay. At least one round over all inputs.
double executions_per_second(const std::vector<Bytes> &inputs, double seconds) {
  double best = 0;
  double const start = processor_seconds();
  for (double now = start; now - start < seconds || best == 0;) {
    double const began = now;
    size_t executions = 0;
    constexpr double kRound = 0.1; // seconds
    while (now - began < kRound) {
      for (const Bytes &bytes : inputs) {
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
      }
      executions += inputs.size();
      now = processor_seconds();
    }
    best = std::max(best, static_cast<double>(executions) / (now - began));
  }
  return best;
}

int measure(const std::vector<ringfence::fuzz::Input> &all, double seconds) {
  constexpr size_t kOperations = 32;
  ringfence::fuzz::compare_every(0);
  std::vector<Bytes> inputs;
  for (const ringfence::fuzz::Input &input : all) {
    size_t const before = ringfence::fuzz::Verdict::begun();
    run_input(input);
    if (ringfence::fuzz::Verdict::begun() - before <= kOperations) {
      inputs.emplace_back(input.bytes.begin(), input.bytes.end());
    }
  }
  if (inputs.empty()) {
    fprintf(stderr, "fuzz: no input has at most %zu operations\n", kOperations);
    return 1;
  }
  double const speed = executions_per_second(inputs, seconds);
  printf("fuzz: %.0f executions per processor second over %zu of %zu inputs\n", speed, inputs.size(), all.size());
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  if (&rf_fuzz_keeps_bounds == nullptr) {
    rf_track_pause(); // harnesses look into arenas and damage them
  }
  ringfence::fuzz::compare_every(1);
  double seconds = 0; // of measuring; 0: replay
  uint32_t nudges = 10;
  std::vector<ringfence::fuzz::Input> inputs;
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "--speed", strlen("--speed")) == 0) {
      const char *const value = strchr(argv[i], '=');
      seconds = value != nullptr ? atof(value + 1) : 1;
      continue;
    }
    if (strncmp(argv[i], "--nudges=", strlen("--nudges=")) == 0) {
      char *end = nullptr;
      nudges = static_cast<uint32_t>(strtoul(argv[i] + strlen("--nudges="), &end, 10));
      if (*end != '\0' || end[-1] == '=') {
        fprintf(stderr, "fuzz: %s: this is no number\n", argv[i]);
        return 2;
      }
      continue;
    }
    if (argv[i][0] == '-') {
      fprintf(stderr,
              "fuzz: %s: this program only replays inputs, files or folders; the fuzzer is built with --config=fuzz\n",
              argv[i]);
      return 2;
    }
    std::string const trouble = ringfence::fuzz::read_inputs(argv[i], &inputs);
    if (!trouble.empty()) {
      fprintf(stderr, "fuzz: %s\n", trouble.c_str());
      return 1;
    }
  }
  if (inputs.empty()) {
    fprintf(stderr, "fuzz: no inputs: the corpus is empty\n");
    return 1;
  }
  watch_for_death();
  if (seconds > 0) {
    return measure(inputs, seconds);
  }
  std::vector<ringfence::fuzz::Input> const share = share_of(inputs);
  for (const ringfence::fuzz::Input &input : share) {
    run_input(input, nudges);
  }
  printf("fuzz: %zu inputs, no finding\n", share.size());
  return 0;
}
