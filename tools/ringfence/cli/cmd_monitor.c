/* monitor: shows a board's console as it comes, with each finding in it as a report at the moment that it is whole. */
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/option_table.h"
#include "tools/ringfence/base/streams.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/cli/command.h"
#include "tools/ringfence/cli/common_options.h"
#include "tools/ringfence/model/serial.h"
#include "tools/ringfence/render/colour.h"
#include "tools/ringfence/render/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <ringfence/report_serial.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LINE_MOST 4096U    /* longer ones are shown in pieces */
#define PATIENCE_MS 200    /* after which a line without an end is shown, a prompt for one */
#define SILENCE_MS 2000    /* after which the rest of a finding, or of a line that may be of one, does not come */
#define FAILED_EXITCODE 99 /* as report's */

typedef enum row_id { IMAGE, BAUD, COLOR, QUIET, HELP, ROWS } row_id;

static const rf_option rows[ROWS] = {
    [IMAGE] = {"image", '\0', "FILE", "the board's program, an ELF file, to name call sites and addresses", NULL},
    [BAUD] = {"baud", 'b', "N", "speed of a serial port (default 115200)", NULL},
    [COLOR] = {"color", '\0', "WHEN", "colours in reports: auto (the default; none with NO_COLOR), always or never",
               NULL},
    [QUIET] = {"quiet", 'q', NULL, "findings only, and no other text of the board's", NULL},
    [HELP] = {"help", 'h', NULL, "print this and exit", NULL},
};

RF_OPTION_TABLE(table, "monitor", rows, false);

typedef struct monitor {
  rf_bump_arena arena; /* of findings that have not arrived whole, and of the one that is shown */
  const char *values[ROWS];
  rf_colour_when colour;
  rf_document_options making;
  rf_serial serial;
  char line[LINE_MOST];
  size_t length;
  size_t findings;
  int64_t last_ms;  /* when the last line of a finding came */
  bool terminal;    /* the device is one */
  sigset_t mask;    /* of signals, as it was started with */
  sigset_t waiting; /* the same with those that end it: between the look for one and the wait */
} monitor;

static volatile sig_atomic_t ended_by; /* a signal; 0: none */

static bool apply(void *context, size_t row, const char *argument) {
  monitor *const m = (monitor *)context;
  m->values[row] = argument == NULL ? "" : argument;
  if (row == COLOR && !rf_colour_from_name(argument, &m->colour)) {
    rf_diag("--color %s: use auto, always or never", argument);
    return false;
  }
  return true;
}

static void help(void) {
  (void)puts(
      "Usage: ringfence monitor [OPTIONS] DEVICE\n"
      "\n"
      "Shows what a board sends, as it comes: a serial port, a pipe, a file, or - for standard input. Lines with\n"
      "#RF: (docs/reports.md) are put together, and each finding is shown as a report as soon as it is whole.\n");
  rf_option_table_help(&table);
  (void)puts(
      "\n"
      "Exit status, at the end of what comes: 0 if nothing was found; 99 if anything was; 2 if the command line\n"
      "is wrong or the device cannot be read. Ctrl-C ends it, after what has come of a finding is shown.\n"
      "\n"
      "Examples:\n"
      "  ringfence monitor /dev/ttyACM0 --image fw.elf\n"
      "  qemu-system-arm -M mps2-an385 -nographic -kernel fw.elf | ringfence monitor - --image fw.elf");
}

/* ---- The device ---- */

static speed_t speed_of(const char *text) {
  static const struct {
    const char *text;
    speed_t speed;
  } speeds[] = {{"9600", B9600},     {"19200", B19200},   {"38400", B38400},   {"57600", B57600},
                {"115200", B115200}, {"230400", B230400}, {"460800", B460800}, {"921600", B921600}};
  for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++) {
    if (strcmp(text, speeds[i].text) == 0) {
      return speeds[i].speed;
    }
  }
  return B0;
}

static void say_unreadable(const char *path) {
  rf_diag("cannot read %s: %s", strcmp(path, "-") == 0 ? "standard input" : path, strerror(errno));
}

static int open_input(const char *path) {
  bool const closed = rf_streams_was_closed(STDIN_FILENO);
  if (closed) {
    errno = EBADF;
    say_unreadable(path);
  }
  return closed ? -1 : STDIN_FILENO;
}

/* -1 after a message. A terminal is read raw, at its speed. */
static int open_device(const monitor *m, const char *path) {
  const char *const baud = m->values[BAUD] != NULL ? m->values[BAUD] : "115200";
  struct termios how;
  if (speed_of(baud) == B0) {
    rf_diag("--baud %s: use 9600, 19200, 38400, 57600, 115200, 230400, 460800 or 921600", baud);
    return -1;
  }
  if (strcmp(path, "-") == 0) {
    return open_input(path);
  }
  int const fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) {
    rf_diag("cannot open %s: %s", path, strerror(errno));
  } else if (tcgetattr(fd, &how) == 0) {
    cfmakeraw(&how);
    (void)cfsetspeed(&how, speed_of(baud));
    how.c_cflag |= CLOCAL | CREAD;
    if (tcsetattr(fd, TCSANOW, &how) != 0) {
      rf_diag("cannot set the speed of %s, which stays as it is: %s", path, strerror(errno));
    }
  }
  return fd;
}

/* ---- Findings ---- */

static void show(void *context, rf_record *record) {
  monitor *const m = (monitor *)context;
  rf_run run = {0};
  rf_document document = {0};
  rf_colour_sink to;
  m->findings++;
  rf_run_add_record(&run, &m->arena, record);
  rf_document_make(&document, &m->arena, &run, &m->making);
  rf_colour_sink_init(&to, stdout, rf_colour_wanted(m->colour, stdout));
  rf_document_text(&m->arena, &document, &to.sink);
  rf_colour_sink_end(&to);
}

static void show_json(void *context, const char *line, size_t length) {
  const monitor *const m = (const monitor *)context;
  if (m->values[QUIET] == NULL) {
    (void)fwrite(line, 1, length, stdout);
    (void)putchar('\n');
  }
}

/* ---- Lines ---- */

static int64_t now_ms(void) {
  struct timespec now = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Frees the memory of findings that have been shown, unless one is still open. */
static void forget_shown(monitor *m) {
  if (m->serial.open == NULL) {
    rf_bump_arena_free(&m->arena);
    m->arena = (rf_bump_arena){NULL};
  }
}

static void end_line(monitor *m) {
  if (rf_serial_line(&m->serial, m->line, m->length)) {
    m->last_ms = now_ms();
    forget_shown(m);
  } else if (m->values[QUIET] == NULL) {
    (void)fwrite(m->line, 1, m->length, stdout);
  }
  m->length = 0;
}

/* How many bytes at the end may begin a line of ours, whose other bytes have not come yet. */
static size_t begun(const monitor *m) {
  const char *const mark = (const char *)memrchr(m->line, RF_SERIAL_MARK[0], m->length);
  size_t const size = mark == NULL ? 0 : (size_t)(m->line + m->length - mark);
  size_t const known = size < strlen(RF_SERIAL_MARK) ? size : strlen(RF_SERIAL_MARK);
  return size < RF_SERIAL_LINE && known != 0 && memcmp(mark, RF_SERIAL_MARK, known) == 0 ? size : 0;
}

/* The line is full: its next piece begins where a line of ours does, so that this one stays whole. */
static void end_piece(monitor *m) {
  char begin[RF_SERIAL_LINE];
  size_t const size = begun(m);
  m->length -= size;
  memcpy(begin, m->line + m->length, size);
  end_line(m);
  memcpy(m->line, begin, size);
  m->length = size;
}

static void take(monitor *m, const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    m->line[m->length++] = text[i];
    if (text[i] == '\n') {
      end_line(m);
    } else if (m->length == LINE_MOST) {
      end_piece(m);
    }
  }
}

/* A shell's prompt may have the letter by which lines of ours begin, too. */
static int patience(const monitor *m) {
  if (m->length != 0) {
    return rf_serial_is(m->line, m->length) || begun(m) != 0 ? SILENCE_MS : PATIENCE_MS;
  }
  return m->serial.open != NULL ? SILENCE_MS : -1;
}

/* A finding whose last line was lost is shown while the board goes on. */
static void show_what_is_late(monitor *m) {
  if (m->serial.open != NULL && now_ms() - m->last_ms >= SILENCE_MS) {
    rf_serial_end(&m->serial);
    forget_shown(m);
    (void)fflush(stdout);
  }
}

/* ---- Signals that end it ---- */

static void note_signal(int signal_number) {
  ended_by = signal_number;
}

/* A second one ends it at once, as one does that comes while what it shows is stopped. */
static void expect_signals(monitor *m) {
  static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
  struct sigaction const action = {.sa_handler = note_signal, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
  (void)sigprocmask(SIG_BLOCK, NULL, &m->mask);
  m->waiting = m->mask;
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
    struct sigaction before;
    if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL) {
      (void)sigaction(signals[i], &action, NULL);
      (void)sigaddset(&m->waiting, signals[i]);
    }
  }
}

/* As without a handler: a shell that runs a script ends it, too. */
static void end_by_signal(void) {
  (void)fflush(stdout);
  (void)signal(ended_by, SIG_DFL);
  (void)raise(ended_by);
}

/* ---- Reading ---- */

/* As poll. A signal that comes between the look at `ended_by` and the wait ends the wait. */
static int wait_for_more(monitor *m, int fd) {
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  int const most = patience(m);
  struct timespec const time = {most / 1000, most % 1000 * 1000000L};
  (void)sigprocmask(SIG_SETMASK, &m->waiting, NULL);
  errno = EINTR;
  int const ready = ended_by != 0 ? -1 : ppoll(&wait, 1, most < 0 ? NULL : &time, &m->mask);
  int const reason = errno;
  (void)sigprocmask(SIG_SETMASK, &m->mask, NULL);
  errno = reason;
  return ready;
}

/* 1 where more may come; 0 at the end; -1, with errno, where the device cannot be read. */
static int wait_and_take(monitor *m, int fd) {
  char text[LINE_MOST];
  int const ready = wait_for_more(m, fd);
  if (ready < 0) {
    return errno == EINTR ? 1 : -1;
  }
  if (ready == 0) {
    end_line(m);
    (void)fflush(stdout);
    return 1;
  }
  ssize_t const size = read(fd, text, sizeof text);
  if (size > 0) {
    take(m, text, (size_t)size);
    (void)fflush(stdout);
  }
  /* A pseudo terminal whose other end is closed answers EIO. */
  bool const ended = size == 0 || (size < 0 && errno == EIO && m->terminal);
  return size > 0 || (size < 0 && (errno == EINTR || errno == EAGAIN)) ? 1 : ended ? 0 : -1;
}

static int watch(monitor *m, const char *path) {
  int const fd = open_device(m, path);
  if (fd < 0) {
    return RF_EXIT_USAGE;
  }
  m->terminal = isatty(fd) == 1;
  m->serial = (rf_serial){.arena = &m->arena, .finding = show, .text = show_json, .context = m};
  expect_signals(m);
  int more = 1;
  while (ended_by == 0 && (more = wait_and_take(m, fd)) > 0) {
    show_what_is_late(m);
  }
  if (more < 0) {
    say_unreadable(path);
  }
  end_line(m);
  rf_serial_end(&m->serial);
  if (more < 0 && m->findings == 0) {
    return RF_EXIT_USAGE;
  }
  rf_diag("%s%s%s", m->findings != 0 ? rf_counted(&m->arena, m->findings, "finding") : "nothing found",
          m->serial.damaged != 0 ? "; lines that could not be read: " : "",
          m->serial.damaged != 0 ? rf_bump_arena_print(&m->arena, "%zu", m->serial.damaged) : "");
  if (ended_by != 0) {
    end_by_signal();
  }
  return more < 0 ? RF_EXIT_USAGE : m->findings != 0 ? FAILED_EXITCODE : 0;
}

static int begin(monitor *m, char **paths, int count) {
  if (count != 1) {
    rf_diag(count == 0 ? "no device given; try `ringfence monitor /dev/ttyACM0 --image fw.elf`"
                       : "one device at a time; others would mix with it");
    return RF_EXIT_USAGE;
  }
  if (!rf_common_options_image(m->values[IMAGE])) {
    return RF_EXIT_USAGE;
  }
  rf_bump_arena kept = {NULL};
  m->making.directory = rf_current_folder(&kept);
  m->making.image = m->values[IMAGE];
  m->making.symbolize = true;
  int const status = watch(m, paths[0]);
  rf_bump_arena_free(&kept);
  return status;
}

static int run(int argc, char **argv) {
  monitor m = {.length = 0};
  int status = RF_EXIT_USAGE;
  int const first = rf_option_table_read(&table, argc, argv, apply, &m);
  if (first >= 0 && m.values[HELP] != NULL) {
    help();
    status = 0;
  } else if (first >= 0) {
    status = begin(&m, argv + first, argc - first);
  }
  rf_bump_arena_free(&m.arena);
  return status;
}

const rf_command rf_command_monitor = {"monitor", "show a board's console, its findings as reports", run, help};
