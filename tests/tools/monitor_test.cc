// `ringfence monitor`: a console is shown as it comes, and its findings when they are whole.
#include "tests/checkers/sample_finding.h"
#include "tests/tools/run.h"

#include <ringfence/report_serial.h>

#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace ringfence_test {
namespace {

std::string lines_of_a_finding() {
  rf_finding const f = ringfence::sample_finding();
  ringfence::TextSink out;
  rf_report_serial(&f, &ringfence::kSampleSymbolizer, out.sink());
  return out.text();
}

bool has(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
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

// The output of `fd` until `part` is in it, or nothing comes for ten seconds.
std::string read_until(int fd, const std::string &part) {
  std::string text;
  char piece[512];
  struct pollfd wait = {fd, POLLIN, 0};
  while (!has(text, part) && poll(&wait, 1, 10000) == 1) {
    ssize_t const size = read(fd, piece, sizeof piece);
    if (size <= 0) {
      break;
    }
    text.append(piece, static_cast<size_t>(size));
  }
  return text;
}

// The terminal's other end is a board that stays silent after what it sent.
TEST(Monitor, ShowsWhatATerminalSendsAtOnce) {
  int const board = posix_openpt(O_RDWR | O_NOCTTY);
  if (board < 0 || grantpt(board) != 0 || unlockpt(board) != 0) {
    GTEST_SKIP() << "there are no pseudo terminals here";
  }
  std::string const device = ptsname(board);
  int const kept = open(device.c_str(), O_RDWR | O_NOCTTY); // so that writes before the start are not lost
  int shown[2];
  ASSERT_EQ(pipe(shown), 0);
  pid_t const child = fork();
  if (child == 0) {
    dup2(shown[1], STDOUT_FILENO);
    execl(ringfence().c_str(), "ringfence", "monitor", device.c_str(), static_cast<char *>(nullptr));
    _exit(1);
  }
  std::string const prompt = "shell> ";
  ASSERT_EQ(write(board, prompt.data(), prompt.size()), static_cast<ssize_t>(prompt.size()));
  EXPECT_EQ(read_until(shown[0], prompt), prompt) << "a line without an end is shown";
  std::string const lines = lines_of_a_finding();
  ASSERT_EQ(write(board, lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
  EXPECT_TRUE(has(read_until(shown[0], "SUMMARY: Ringfence: "), "SUMMARY: Ringfence: "));
  kill(child, SIGTERM);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  for (int const fd : {board, kept, shown[0], shown[1]}) {
    close(fd);
  }
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

TEST(Monitor, SetsATerminalRawAtItsSpeed) {
  const struct {
    const char *option;
    speed_t speed;
  } cases[] = {{nullptr, B115200}, {"--baud=57600", B57600}, {"--baud=921600", B921600}};
  for (const auto &c : cases) {
    int const board = posix_openpt(O_RDWR | O_NOCTTY);
    if (board < 0 || grantpt(board) != 0 || unlockpt(board) != 0) {
      GTEST_SKIP() << "there are no pseudo terminals here";
    }
    std::string const device = ptsname(board);
    int const kept = open(device.c_str(), O_RDWR | O_NOCTTY);
    struct termios how;
    ASSERT_EQ(tcgetattr(kept, &how), 0);
    how.c_cflag &= ~static_cast<tcflag_t>(CLOCAL);
    ASSERT_EQ(tcsetattr(kept, TCSANOW, &how), 0);
    ASSERT_EQ(write(board, "x\n", 2), 2);
    int shown[2];
    ASSERT_EQ(pipe(shown), 0);
    pid_t const child = fork();
    if (child == 0) {
      dup2(shown[1], STDOUT_FILENO);
      execl(ringfence().c_str(), "ringfence", "monitor", device.c_str(), c.option, static_cast<char *>(nullptr));
      _exit(1);
    }
    EXPECT_EQ(read_until(shown[0], "x\n"), "x\n");
    ASSERT_EQ(tcgetattr(kept, &how), 0);
    EXPECT_EQ(cfgetispeed(&how), c.speed);
    EXPECT_EQ(cfgetospeed(&how), c.speed);
    EXPECT_EQ(how.c_lflag & (ICANON | ECHO | ISIG), 0U);
    EXPECT_EQ(how.c_cflag & (CLOCAL | CREAD), static_cast<tcflag_t>(CLOCAL | CREAD));
    kill(child, SIGTERM);
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    for (int const fd : {board, kept, shown[0], shown[1]}) {
      close(fd);
    }
  }
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
  EXPECT_TRUE(has(said({"--color", "red", "-"}), "--color red: use auto, always or never"));
}

} // namespace
} // namespace ringfence_test
