// `ringfence monitor`: a console is shown as it comes, and its findings when they are whole.
#include "tests/checkers/sample_finding.h"
#include "tests/tools/run.h"

#include <ringfence/report_serial.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utility>

namespace ringfence_test {
namespace {

std::string lines_of_a_finding() {
  rf_finding const f = ringfence::sample_finding();
  ringfence::TextSink out;
  rf_report_serial(&f, &ringfence::kSampleSymbolizer, out.sink());
  return out.text();
}

TEST(Monitor, ShowsTextAsItIsAndFindingsAsReports) {
  std::string const file = scratch("console");
  write_file(file, "booting\n" + lines_of_a_finding() + "going on\n");
  Result const all = run({ringfence(), "monitor", file});
  EXPECT_EQ(all.status, 99);
  EXPECT_TRUE(has(all.out, "booting\n=====")) << all.out;
  EXPECT_TRUE(has(all.out, "ERROR: Ringfence: ")) << all.out;
  EXPECT_TRUE(has(all.out, "SUMMARY: Ringfence: ")) << all.out;
  EXPECT_TRUE(has(all.out, "\ngoing on\n")) << all.out;
  EXPECT_FALSE(has(all.out, "#RF:")) << all.out;
  EXPECT_EQ(all.err, "ringfence: 1 finding\n");
  Result const quiet = run({ringfence(), "monitor", "-q", "--color=always", file});
  EXPECT_FALSE(has(quiet.out, "booting")) << quiet.out;
  EXPECT_TRUE(has(quiet.out, "\x1b[")) << quiet.out;
  write_file(file, "booting\n#RF:0102\nno end");
  Result const none = run({ringfence(), "monitor", file});
  EXPECT_EQ(none.status, 0);
  EXPECT_EQ(none.out, "booting\nno end");
  EXPECT_EQ(none.err, "ringfence: nothing found; lines that could not be read: 1\n");
  unlink(file.c_str());
}

// The output of `fd` until `part` is in it, or nothing comes for a minute.
std::string read_until(int fd, const std::string &part) {
  std::string text;
  char piece[512];
  struct pollfd wait = {fd, POLLIN, 0};
  while (!has(text, part) && poll(&wait, 1, 60000) == 1) {
    ssize_t const size = read(fd, piece, sizeof piece);
    if (size <= 0) {
      break;
    }
    text.append(piece, static_cast<size_t>(size));
  }
  return text;
}

// A monitor of a terminal, whose other end is a board that stays silent after what it sent.
class Terminal {
public:
  Terminal() : board_(posix_openpt(O_RDWR | O_NOCTTY)) {
    if (is_there()) {
      device_ = ptsname(board_);
      kept_ = open(device_.c_str(), O_RDWR | O_NOCTTY); // so that writes before the start are not lost
    }
  }
  ~Terminal() {
    if (child_ > 0) {
      EXPECT_EQ(end(SIGTERM), SIGTERM);
    }
    for (int const fd : {board_, kept_, shown_[0], shown_[1]}) {
      close(fd);
    }
  }
  Terminal(const Terminal &) = delete;
  Terminal &operator=(const Terminal &) = delete;

  bool is_there() const { return board_ >= 0 && grantpt(board_) == 0 && unlockpt(board_) == 0; }
  int settings() const { return kept_; }
  std::string shown_until(const std::string &part) const { return read_until(shown_[0], part); }
  // The first piece that is shown in so many milliseconds.
  std::string shown_within(int milliseconds) const {
    struct pollfd wait = {shown_[0], POLLIN, 0};
    char piece[512];
    ssize_t const size = poll(&wait, 1, milliseconds) == 1 ? read(shown_[0], piece, sizeof piece) : 0;
    return {piece, static_cast<size_t>(size > 0 ? size : 0)};
  }

  void send(const std::string &text) const {
    EXPECT_EQ(write(board_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  void watch(const char *option) {
    ASSERT_EQ(pipe(shown_), 0);
    child_ = fork();
    if (child_ == 0) {
      dup2(shown_[1], STDOUT_FILENO);
      execl(ringfence().c_str(), "ringfence", "monitor", device_.c_str(), option, static_cast<char *>(nullptr));
      _exit(1);
    }
  }

  // Returns the signal that the monitor ended by; 0 where it exited.
  int end(int signal_number) {
    int status = 0;
    kill(child_, signal_number);
    EXPECT_EQ(waitpid(child_, &status, 0), child_);
    child_ = -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }

private:
  int board_;
  int kept_ = -1;
  int shown_[2] = {-1, -1};
  pid_t child_ = -1;
  std::string device_;
};

TEST(Monitor, ShowsWhatATerminalSendsAtOnce) {
  Terminal terminal;
  if (!terminal.is_there()) {
    GTEST_SKIP() << "there are no pseudo terminals here";
  }
  terminal.watch(nullptr);
  std::string const prompt = "shell> ";
  terminal.send(prompt);
  EXPECT_EQ(terminal.shown_until(prompt), prompt) << "a line without an end is shown";
  terminal.send(lines_of_a_finding());
  EXPECT_TRUE(has(terminal.shown_until("SUMMARY: Ringfence: "), "SUMMARY: Ringfence: "));
}

TEST(Monitor, ShowsATextOfTheBoardsAsALineUnlessQuiet) {
  std::string const file = scratch("json");
  std::string const json = "{\"type\":\"snapshot\"}";
  ringfence::TextSink out;
  rf_serial_text to;
  rf_serial_text_init(&to, out.sink(), 1);
  rf_sink_str(&to.sink, (json + "\n").c_str());
  write_file(file, out.text() + "going on\n");
  EXPECT_EQ(run({ringfence(), "monitor", file}).out, json + "\ngoing on\n");
  EXPECT_EQ(run({ringfence(), "monitor", "--quiet", file}).out, "");
  unlink(file.c_str());
}

TEST(Monitor, ShowsAFindingWhoseEndDoesNotCome) {
  std::string const file = scratch("cut");
  std::string const lines = lines_of_a_finding();
  write_file(file, lines.substr(0, lines.find('\n') + 1));
  Result const cut = run({ringfence(), "monitor", file});
  EXPECT_EQ(cut.status, 99);
  EXPECT_TRUE(has(cut.out, "at least 1 line of this report did not arrive")) << cut.out;
  EXPECT_EQ(cut.err, "ringfence: 1 finding\n");
  unlink(file.c_str());
}

TEST(Monitor, ShowsAFindingWhoseEndIsLostWhileTheBoardGoesOn) {
  Terminal terminal;
  if (!terminal.is_there()) {
    GTEST_SKIP() << "there are no pseudo terminals here";
  }
  std::string const lines = lines_of_a_finding();
  terminal.watch(nullptr);
  terminal.send(lines.substr(0, lines.rfind('#')) + "going on\n");
  std::string const shown = terminal.shown_until("SUMMARY: Ringfence: ");
  EXPECT_EQ(shown.rfind("going on\n=====", 0), 0U) << shown;
  EXPECT_TRUE(has(shown, "at least 1 line of this report did not arrive")) << shown;
  terminal.send(lines);
  std::string const whole = terminal.shown_until("SUMMARY: Ringfence: ");
  EXPECT_FALSE(has(whole.substr(whole.find("=====")), "did not arrive")) << whole;
}

TEST(Monitor, ShowsAFindingThatHasNotComeWholeWhereASignalEndsIt) {
  std::string const lines = lines_of_a_finding();
  for (int const signal_number : {SIGHUP, SIGINT, SIGTERM}) {
    Terminal terminal;
    if (!terminal.is_there()) {
      GTEST_SKIP() << "there are no pseudo terminals here";
    }
    terminal.watch(nullptr);
    terminal.send(lines.substr(0, lines.rfind('#')) + "going on\n");
    EXPECT_EQ(terminal.shown_until("going on\n"), "going on\n");
    EXPECT_EQ(terminal.end(signal_number), signal_number);
    EXPECT_TRUE(has(terminal.shown_until("SUMMARY: "), "at least 1 line of this report did not arrive"));
  }
}

// Its last letter may be the first of a line of ours.
// Where the device always has more it never waits, and where nobody reads what it shows it comes to no look at signals:
// a second one ends it.
TEST(Monitor, EndsByASignalWhereTheDeviceAlwaysHasMore) {
  for (bool const is_read : {true, false}) {
    int out[2];
    ASSERT_EQ(pipe(out), 0);
    pid_t const child = fork();
    if (child == 0) {
      dup2(out[1], STDOUT_FILENO);
      close(out[0]);
      close(out[1]);
      execl(ringfence().c_str(), "ringfence", "monitor", "/dev/zero", static_cast<char *>(nullptr));
      _exit(1);
    }
    close(out[1]);
    char piece[4096];
    EXPECT_GT(read(out[0], piece, sizeof piece), 0) << "it is at work";
    kill(child, SIGINT);
    while (is_read && read(out[0], piece, sizeof piece) > 0) {
    }
    int status = 0;
    while (waitpid(child, &status, is_read ? 0 : WNOHANG) == 0) {
      kill(child, SIGINT);
      usleep(10000);
    }
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) << is_read;
    close(out[0]);
  }
}

TEST(Monitor, ShowsThePromptsOfAShell) {
  Terminal terminal;
  if (!terminal.is_there()) {
    GTEST_SKIP() << "there are no pseudo terminals here";
  }
  terminal.watch(nullptr);
  for (std::string const prompt : {"/ # ", "board#"}) {
    terminal.send(prompt);
    EXPECT_EQ(terminal.shown_until(prompt), prompt);
  }
}

TEST(Monitor, SetsATerminalRawAtItsSpeed) {
  const struct {
    const char *option;
    speed_t speed;
  } cases[] = {{nullptr, B115200},         {"--baud=9600", B9600},     {"--baud=19200", B19200},
               {"--baud=38400", B38400},   {"--baud=57600", B57600},   {"-b115200", B115200},
               {"--baud=230400", B230400}, {"--baud=460800", B460800}, {"--baud=921600", B921600}};
  for (const auto &c : cases) {
    Terminal terminal;
    if (!terminal.is_there()) {
      GTEST_SKIP() << "there are no pseudo terminals here";
    }
    struct termios how;
    ASSERT_EQ(tcgetattr(terminal.settings(), &how), 0);
    how.c_cflag &= ~static_cast<tcflag_t>(CLOCAL);
    ASSERT_EQ(tcsetattr(terminal.settings(), TCSANOW, &how), 0);
    terminal.send("x\n");
    terminal.watch(c.option);
    EXPECT_EQ(terminal.shown_until("x\n"), "x\n");
    ASSERT_EQ(tcgetattr(terminal.settings(), &how), 0);
    EXPECT_EQ(cfgetispeed(&how), c.speed);
    EXPECT_EQ(cfgetospeed(&how), c.speed);
    EXPECT_EQ(how.c_lflag & (ICANON | ECHO | ISIG), 0U);
    EXPECT_EQ(how.c_cflag & (CLOCAL | CREAD | CRTSCTS), static_cast<tcflag_t>(CLOCAL | CREAD));
  }
}

// With letters that begin a line of ours, and without; as long as a piece, and longer.
TEST(Monitor, ShowsLongLinesWhole) {
  std::string const file = scratch("long");
  for (size_t const length : {4095U, 4096U, 4097U, 10000U}) {
    std::string const text = std::string(length, 'x') + "\nnext # line\n" + std::string(length, '#') + "\n";
    write_file(file, text);
    EXPECT_EQ(run({ringfence(), "monitor", file}).out, text);
  }
  unlink(file.c_str());
}

// Noise without an end comes before a finding, whose first line lies across the end of a piece, wherever that is.
TEST(Monitor, LosesNoLineAcrossTheEndOfAPiece) {
  std::string const file = scratch("across");
  std::string const lines = lines_of_a_finding();
  size_t const first = lines.find('\n');
  for (size_t before = 0; before <= first + 1; before++) {
    std::string const noise(4096 - before, 'x');
    write_file(file, noise + lines + "going on\n");
    Result const result = run({ringfence(), "monitor", file});
    EXPECT_EQ(result.err, "ringfence: 1 finding\n") << before;
    EXPECT_FALSE(has(result.out, "did not arrive")) << before << result.out;
    EXPECT_TRUE(has(result.out, "\ngoing on\n")) << before << result.out;
  }
  unlink(file.c_str());
}

TEST(Monitor, CountsFindings) {
  std::string const file = scratch("console");
  rf_finding f = ringfence::sample_finding();
  ringfence::TextSink out;
  for (f.sequence = 1; f.sequence <= 3; f.sequence++) {
    rf_report_serial(&f, nullptr, out.sink());
  }
  write_file(file, out.text());
  EXPECT_EQ(run({ringfence(), "monitor", file}).err, "ringfence: 3 findings\n");
  unlink(file.c_str());
}

// A board may pause within a line.
TEST(Monitor, WaitsForTheEndOfALineThatMayBeOfAFinding) {
  Terminal terminal;
  if (!terminal.is_there()) {
    GTEST_SKIP() << "there are no pseudo terminals here";
  }
  std::string const lines = lines_of_a_finding();
  terminal.watch(nullptr);
  terminal.send("x\n" + lines.substr(0, 20));
  EXPECT_EQ(terminal.shown_until("x\n"), "x\n");
  EXPECT_EQ(terminal.shown_within(500), "");
  terminal.send(lines.substr(20));
  std::string const shown = terminal.shown_until("SUMMARY: Ringfence: ");
  EXPECT_EQ(shown.rfind("=====", 0), 0U) << shown;
  EXPECT_FALSE(has(shown, "did not arrive")) << shown;
}

TEST(Monitor, AnImageNamesAddresses) {
  std::string const subject = program("overflow");
  Result const nm = run({"sh", "-c", "nm \"$1\" | grep ' T main$'", "sh", subject});
  rf_finding f = {};
  f.bug = RF_BUG_LEAK;
  f.allocated.depth = 1;
  f.allocated.frames[0] = static_cast<uintptr_t>(std::stoull(nm.out, nullptr, 16)) + 4;
  ringfence::TextSink out;
  rf_report_serial(&f, nullptr, out.sink());
  std::string const file = scratch("console");
  write_file(file, out.text());
  EXPECT_TRUE(
      has(run({ringfence(), "monitor", "--image", subject, file}).out, " in main tests/tools/programs/overflow.c:"));
  EXPECT_FALSE(has(run({ringfence(), "monitor", file}).out, " in main"));
  unlink(file.c_str());
}

TEST(Monitor, ADeviceThatCannotBeReadIsNoneWithoutFindings) {
  Result const folder = run({ringfence(), "monitor", "/tmp"});
  EXPECT_EQ(folder.status, 2);
  EXPECT_EQ(folder.err, "ringfence: cannot read /tmp: Is a directory\n");
  Result const memory = run({ringfence(), "monitor", "/proc/self/mem"});
  EXPECT_EQ(memory.status, 2) << "only of a terminal is this error the end";
  EXPECT_EQ(memory.err, "ringfence: cannot read /proc/self/mem: Input/output error\n");
  How closed;
  closed.closed = {0};
  Result const input = run({ringfence(), "monitor", "-"}, closed);
  EXPECT_EQ(input.status, 2);
  EXPECT_EQ(input.err, "ringfence: cannot read standard input: Bad file descriptor\n");
}

TEST(Monitor, CountsTheLinesThatDidNotArrive) {
  std::string const file = scratch("gap");
  std::string const lines = lines_of_a_finding();
  size_t const second = lines.find('\n') + 1;
  size_t const third = lines.find('\n', second) + 1;
  size_t const fourth = lines.find('\n', third) + 1;
  for (const auto &[to, words] : {std::pair{third, "at least 1 line of"}, std::pair{fourth, "at least 2 lines of"}}) {
    write_file(file, lines.substr(0, second) + lines.substr(to));
    Result const gap = run({ringfence(), "monitor", file});
    EXPECT_TRUE(has(gap.out, words + std::string(" this report did not arrive"))) << gap.out;
  }
  unlink(file.c_str());
}

// The other end of a socket goes, and leaves what was sent to it unread: that is an error.
TEST(Monitor, ADeviceThatFailsAfterAFindingIsStatus2) {
  int ends[2];
  int shown[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ASSERT_EQ(pipe2(shown, O_CLOEXEC), 0);
  pid_t const child = fork();
  if (child == 0) {
    dup2(ends[1], STDIN_FILENO);
    dup2(shown[1], STDOUT_FILENO);
    execl(ringfence().c_str(), "ringfence", "monitor", "-", static_cast<char *>(nullptr));
    _exit(1);
  }
  close(shown[1]);
  std::string const lines = lines_of_a_finding();
  EXPECT_EQ(write(ends[0], lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
  EXPECT_EQ(write(ends[1], "x", 1), 1);
  EXPECT_TRUE(has(read_until(shown[0], "SUMMARY: Ringfence: "), "SUMMARY: Ringfence: "));
  close(ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 2);
  close(ends[1]);
  close(shown[0]);
}

// Exits the same whatever was found: a reader of the file has not seen it.
TEST(Monitor, SaysThatItsOutputIsLost) {
  std::string const file = scratch("console");
  rf_finding const f = {};
  ringfence::TextSink out;
  rf_report_serial(&f, nullptr, out.sink());
  write_file(file, out.text());
  Result const result = run({"sh", "-c", "\"$0\" monitor \"$1\" > /dev/full", ringfence(), file});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.err, "ringfence: 1 finding\nringfence: cannot write all to standard output\n");
  unlink(file.c_str());
}

TEST(Monitor, SaysWhatIsWrong) {
  auto const said = [](const std::vector<std::string> &words) {
    std::vector<std::string> line = {ringfence(), "monitor"};
    line.insert(line.end(), words.begin(), words.end());
    Result const result = run(line);
    EXPECT_EQ(result.status, 2);
    return result.err;
  };
  EXPECT_TRUE(has(said({}), "no device given; try `ringfence monitor /dev/ttyACM0 --image fw.elf`"));
  EXPECT_TRUE(has(said({"a", "b"}), "one device at a time"));
  EXPECT_TRUE(has(said({"/nowhere"}), "cannot open /nowhere: No such file or directory"));
  EXPECT_TRUE(has(said({"--baud", "12", "-"}), "--baud 12: use 9600, "));
  EXPECT_TRUE(has(said({"--image", "/nowhere", "-"}), "cannot read the image /nowhere"));
  EXPECT_TRUE(has(said({"--image", "/dev/null", "-"}), "--image /dev/null: use the ELF file that the firmware was"));
  EXPECT_TRUE(has(said({"--color", "red", "-"}), "--color red: use auto, always or never"));
}

} // namespace
} // namespace ringfence_test
