/* The cost of checked mode for real programs: each runs bare (glibc's malloc) and with libringfence.so, in turn,
 * several times.
 *
 *     ./bazelw run //tools/bench:programs -- [--runs N] [--options KEY=VALUE:… | --modes] [NAME…]
 *
 * Prints a Markdown table: processor time (user + system) and peak memory of the whole program, medians, and the ratio
 * of each pair with its spread. With --modes, tables of the ratios of all modes. A checked run that reports a finding,
 * or whose output differs, is an error.
 */
#define _GNU_SOURCE /* wait4 */
#include "tools/bench/median.h"
#include "workloads.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNS_MAX 99

typedef struct measure {
  double seconds;
  double mebibytes;
} measure;

static void die(const char *what) {
  fprintf(stderr, "programs: %s: %s\n", what, strerror(errno));
  exit(1);
}

static bool in_path(const char *program) {
  char command[256];
  snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", program);
  return system(command) == 0;
}

static void redirect(const char *path, int flags, int to) {
  int const fd = open(path, flags, 0600);
  if (fd < 0 || dup2(fd, to) < 0) {
    _exit(126);
  }
}

static void child(const workload *w, const char *output) {
  redirect(w->input != NULL ? w->input : "/dev/null", O_RDONLY, 0);
  redirect(output, O_WRONLY | O_CREAT | O_TRUNC, 1);
  char *argv[9] = {NULL};
  for (size_t i = 0; i < 8 && w->argv[i] != NULL; i++) {
    argv[i] = strdup(w->argv[i]);
  }
  if (argv[0] != NULL) {
    execvp(argv[0], argv);
  }
  _exit(127);
}

/* Runs `w` once. The library and its options come from the environment that is set here for the child alone. */
static measure run(const workload *w, const char *library, const char *options, const char *output) {
  measure m = {0, 0};
  struct rusage usage;
  int status = 0;
  pid_t const pid = fork();
  if (pid < 0) {
    die("fork");
  }
  if (pid == 0) {
    if (library != NULL) {
      setenv("LD_PRELOAD", library, 1);
      setenv("RINGFENCE_OPTIONS", options, 1);
    }
    child(w, output);
  }
  if (wait4(pid, &status, 0, &usage) != pid) {
    die("wait4");
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fprintf(stderr, "programs: %s ended with status %d%s\n", w->name, status,
            library != NULL ? " under the checker" : "");
    exit(1);
  }
  m.seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
  m.mebibytes = (double)usage.ru_maxrss / 1024;
  return m;
}

static void demand_same_output(const workload *w) {
  if (system("cmp -s out.bare out.checked") != 0) {
    fprintf(stderr, "programs: %s: the output differs under the checker\n", w->name);
    exit(1);
  }
}

static void measure_workload(const workload *w, const char *library, const char *options, size_t runs) {
  double bare[RUNS_MAX];
  double checked[RUNS_MAX];
  double ratio[RUNS_MAX];
  double memory_bare = 0;
  double memory_checked = 0;
  (void)run(w, NULL, NULL, "out.bare");
  for (size_t i = 0; i < runs; i++) {
    measure const a = run(w, NULL, NULL, "out.bare");
    measure const b = run(w, library, options, "out.checked");
    demand_same_output(w);
    bare[i] = a.seconds;
    checked[i] = b.seconds;
    ratio[i] = b.seconds / a.seconds;
    memory_bare = a.mebibytes > memory_bare ? a.mebibytes : memory_bare;
    memory_checked = b.mebibytes > memory_checked ? b.mebibytes : memory_checked;
  }
  double const middle = median(ratio, runs);
  printf("| %s | %.3f | %.3f | %.2f (%.2f … %.2f) | %.0f | %.0f | %.2f |\n", w->name, median(bare, runs),
         median(checked, runs), middle, ratio[0], ratio[runs - 1], memory_bare, memory_checked,
         memory_checked / memory_bare);
  fflush(stdout);
}

/* ---- All modes side by side ---- */

typedef struct mode {
  const char *name;
  const char *options;
  bool slow; /* system calls for each block: once is enough */
} mode;

static const mode modes[] = {
    {"off", "mode=off", false},
    {"sample", "mode=sample", false},
    {"guard without stacks", "mode=guard:stack_depth=0", false},
    {"guard", "mode=guard", false},
    {"page", "mode=page", true},
};

#define MODES (sizeof modes / sizeof modes[0])
#define PROGRAMS_MOST 16U

typedef struct mode_row {
  const char *name;
  double seconds;     /* of the program with glibc's malloc */
  double allocations; /* of all its processes */
  double mebibytes;
  double times[MODES];
  double memory[MODES];
} mode_row;

/* One round: the bare program, then all modes, so that what slows the machine down slows all of them. */
static void measure_round(const workload *w, const char *library, size_t round, double (*ratios)[RUNS_MAX],
                          mode_row *row) {
  measure const bare = run(w, NULL, NULL, "out.bare");
  row->mebibytes = fmax(row->mebibytes, bare.mebibytes);
  ratios[MODES][round] = bare.seconds;
  for (size_t m = 0; m < MODES && (round == 0 || !modes[m].slow); m++) {
    measure const checked = run(w, library, modes[m].options, "out.checked");
    demand_same_output(w);
    ratios[m][round] = checked.seconds / bare.seconds;
    row->memory[m] = fmax(row->memory[m], checked.mebibytes);
  }
}

/* The allocations of all its processes, by the line that each writes at its end. */
static double count_allocations(const workload *w, const char *library) {
  static const char member[] = "\"allocations\":";
  char line[4096];
  char folder[PATH_MAX];
  char options[sizeof folder + 100];
  double count = 0;
  if (getcwd(folder, sizeof folder) == NULL) {
    die("getcwd");
  }
  (void)remove("summaries");
  snprintf(options, sizeof options, "mode=guard:stack_depth=0:leaks=0:summary=1:format=json:log=%s/summaries", folder);
  (void)run(w, library, options, "out.checked");
  FILE *const f = fopen("summaries", "r");
  while (f != NULL && fgets(line, sizeof line, f) != NULL) {
    const char *const at = strstr(line, member);
    count += at != NULL ? strtod(at + sizeof member - 1, NULL) : 0;
  }
  if (f == NULL || fclose(f) != 0 || count == 0) {
    die("no summaries of allocations");
  }
  return count;
}

static mode_row measure_modes(const workload *w, const char *library, size_t runs) {
  static double ratios[MODES + 1][RUNS_MAX]; /* the last row: seconds of the bare program */
  mode_row row = {.name = w->name};
  (void)run(w, NULL, NULL, "out.bare");
  for (size_t i = 0; i < runs; i++) {
    measure_round(w, library, i, ratios, &row);
  }
  for (size_t m = 0; m < MODES; m++) {
    row.times[m] = median(ratios[m], modes[m].slow ? 1 : runs);
  }
  row.seconds = median(ratios[MODES], runs);
  row.allocations = count_allocations(w, library);
  fprintf(stderr, "%s\n", w->name);
  return row;
}

static void print_modes_head(const char *what, const char *last) {
  printf("\n| program | %s |", what);
  for (size_t m = 0; m < MODES; m++) {
    printf(" %s |", modes[m].name);
  }
  printf("%s\n|---|---|---|---|---|---|---|%s\n", last, *last != '\0' ? "---|" : "");
}

static void print_modes(const mode_row *rows, size_t count) {
  double logs[MODES] = {0};
  print_modes_head("glibc, s", " allocations, 1000 a second |");
  for (size_t i = 0; i < count; i++) {
    printf("| %s | %.3f |", rows[i].name, rows[i].seconds);
    for (size_t m = 0; m < MODES; m++) {
      printf(" %.2f |", rows[i].times[m]);
      logs[m] += log(rows[i].times[m]);
    }
    printf(" %.0f |\n", rows[i].allocations / rows[i].seconds / 1000);
  }
  printf("| geometric mean | |");
  for (size_t m = 0; m < MODES; m++) {
    printf(" %.2f |", exp(logs[m] / (double)count));
  }
  printf(" |\n");
  print_modes_head("glibc, peak MiB", "");
  for (size_t i = 0; i < count; i++) {
    printf("| %s | %.0f |", rows[i].name, rows[i].mebibytes);
    for (size_t m = 0; m < MODES; m++) {
      printf(" %.0f |", rows[i].memory[m]);
    }
    printf("\n");
  }
}

static void usage(FILE *to) {
  fputs("usage: programs LIBRARY [--runs N] [--options KEY=VALUE:... | --modes] [NAME...]\n"
        "  --runs N       pairs of runs per program, 1 to 99 (default 5)\n"
        "  --options O    RINGFENCE_OPTIONS of the checked runs (default: the library's defaults)\n"
        "  --modes        all modes side by side, as ratios to the bare program\n"
        "  NAME           only programs whose name contains it\n",
        to);
}

static size_t parse_runs(const char *text) {
  char *end = NULL;
  unsigned long const n = strtoul(text, &end, 10);
  if (end == text || *end != '\0' || n < 1 || n > RUNS_MAX) {
    fprintf(stderr, "programs: --runs takes a number from 1 to %d, not '%s'\n", RUNS_MAX, text);
    exit(2);
  }
  return n;
}

/* ---- The command line ---- */

typedef struct settings {
  size_t runs;
  const char *options;
  bool all_modes;
  char library[PATH_MAX];
  int name_count; /* 0: all programs */
  char **names;
} settings;

/* Ends the program where the command line is wrong or asks for help. */
static settings parse(int argc, char **argv) {
  static const struct option long_options[] = {
      {"runs", required_argument, NULL, 'r'},
      {"options", required_argument, NULL, 'o'},
      {"modes", no_argument, NULL, 'm'},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  settings s = {.runs = 5, .options = ""};
  for (int c; (c = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
    if (c == 'r') {
      s.runs = parse_runs(optarg);
    } else if (c == 'o') {
      s.options = optarg;
    } else if (c == 'm') {
      s.all_modes = true;
    } else {
      usage(c == 'h' ? stdout : stderr);
      exit(c == 'h' ? 0 : 2);
    }
  }
  if (optind == argc) {
    usage(stderr);
    exit(2);
  }
  if (realpath(argv[optind], s.library) == NULL) {
    die(argv[optind]);
  }
  s.name_count = argc - optind - 1;
  s.names = argv + optind + 1;
  return s;
}

static bool is_chosen(const settings *s, const workload *w) {
  bool chosen = s->name_count == 0;
  for (int i = 0; i < s->name_count; i++) {
    chosen = chosen || strstr(w->name, s->names[i]) != NULL;
  }
  if (chosen && !in_path(w->program)) {
    fprintf(stderr, "programs: %s is not installed; left out\n", w->program);
    return false;
  }
  return chosen;
}

static void measure_all(const settings *s) {
  mode_row rows[PROGRAMS_MOST];
  size_t row_count = 0;
  size_t count = 0;
  const workload *const all = workloads(&count);
  if (!s->all_modes) {
    printf("| program | glibc s | guard s | ratio (least … most) | glibc MiB | guard MiB | ratio |\n"
           "|---|---|---|---|---|---|---|\n");
  }
  for (size_t i = 0; i < count; i++) {
    if (!is_chosen(s, &all[i])) {
      continue;
    }
    if (!s->all_modes) {
      measure_workload(&all[i], s->library, s->options, s->runs);
    } else if (row_count < PROGRAMS_MOST) {
      rows[row_count++] = measure_modes(&all[i], s->library, s->runs);
    }
  }
  if (row_count != 0) {
    print_modes(rows, row_count);
  }
}

int main(int argc, char **argv) {
  settings const s = parse(argc, argv);
  char folder[] = "/tmp/ringfence-bench-XXXXXX";
  if (mkdtemp(folder) == NULL || chdir(folder) != 0 || workloads_prepare() != 0) {
    die(folder);
  }
  measure_all(&s);
  char remove_command[64];
  snprintf(remove_command, sizeof remove_command, "rm -rf %s", folder);
  return system(remove_command) == 0 ? 0 : 1;
}
