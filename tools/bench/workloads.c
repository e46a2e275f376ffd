#include "workloads.h"

#include <stdio.h>
#include <stdlib.h>

static const workload all[] = {
    {"python3 json.tool, 4 MB", "./python3", {"./python3", "-m", "json.tool", "data.json", "out.json"}, NULL},
    {"python3 dicts and strings", "./python3", {"./python3", "dicts.py"}, NULL},
    {"perl hashes", "perl", {"perl", "hash.pl"}, NULL},
    {"sqlite3, 100,000 rows", "sqlite3", {"sqlite3", ":memory:"}, "rows.sql"},
    {"sort, 200,000 lines", "sort", {"sort", "lines.txt"}, NULL},
    {"gcc -O1, 600 functions", "gcc", {"gcc", "-O1", "-c", "large.c", "-o", "large.o"}, NULL},
    {"git log of 3000 commits", "git", {"git", "-C", "repo", "log", "-p", "--stat"}, NULL},
    {"bash loop", "bash", {"bash", "loop.sh"}, NULL},
};

const workload *workloads(size_t *count) {
  *count = sizeof all / sizeof all[0];
  return all;
}

/* A small generator of our own, so that the data are the same everywhere. */
static unsigned next(unsigned *state) {
  *state = *state * 1664525U + 1013904223U;
  return *state >> 8U;
}

static int write_json(FILE *f) {
  unsigned r = 1;
  fputs("[", f);
  for (int i = 0; i < 40000; i++) {
    fprintf(f, "%s\n{\"id\": %d, \"name\": \"item %u\", \"tags\": [\"a%u\", \"b%u\"], \"price\": %u.%02u}",
            i ? "," : "", i, next(&r), next(&r) % 100, next(&r) % 100, next(&r) % 1000, next(&r) % 100);
  }
  return fputs("]\n", f);
}

static int write_lines(FILE *f) {
  unsigned r = 2;
  int status = 0;
  for (int i = 0; i < 200000 && status >= 0; i++) {
    status = fprintf(f, "%08x %u some words on a line %u\n", next(&r), next(&r), next(&r) % 7);
  }
  return status;
}

static int write_sql(FILE *f) {
  unsigned r = 3;
  fputs("create table t(id integer primary key, name text, n integer);\nbegin;\n", f);
  for (int i = 0; i < 100000; i++) {
    fprintf(f, "insert into t values(%d, 'name %u', %u);\n", i, next(&r), next(&r) % 1000);
  }
  return fputs("commit;\ncreate index tn on t(n, name);\n"
               "select n, count(*), max(name) from t group by n order by 2 desc limit 20;\n"
               "select count(*) from t a join t b on a.n = b.n where a.id < 2000;\n",
               f);
}

static int write_c(FILE *f) {
  int status = 0;
  for (int i = 0; i < 600 && status >= 0; i++) {
    status =
        fprintf(f,
                "struct s%d { int a, b[4]; const char *name; };\n"
                "int f%d(struct s%d *p, int n) {\n  int sum = %d;\n"
                "  for (int i = 0; i < n; i++) {\n    switch (p[i].a %% 5) {\n"
                "    case 0: sum += p[i].b[0] * n; break;\n    case 1: sum ^= p[i].b[1] << 2; break;\n"
                "    case 2: sum -= p[i].b[2] / (n + 1); break;\n    default: sum += p[i].name[i %% 3];\n    }\n  }\n"
                "  return sum;\n}\n",
                i, i, i, i);
  }
  return status;
}

static int write_python(FILE *f) {
  return fputs(
      "words = {}\n"
      "for i in range(400000):\n"
      "    words.setdefault('key %d' % (i * 7919 % 50021), []).append(bytes(600 + i % 300) if i % 50 == 0 else i)\n"
      "text = ' '.join(str(len(v)) for v in words.values())\n"
      "print(len(words), len(text))\n",
      f);
}

static int write_perl(FILE *f) {
  return fputs(
      "my %h; for my $i (0 .. 300000) { my $k = 'key ' . ($i * 7919 % 50021); push @{$h{$k}}, \"value $i\"; }\n"
      "my $n = 0; for my $k (sort keys %h) { $n += length join ',', @{$h{$k}}; } print \"$n\\n\";\n",
      f);
}

static int write_bash(FILE *f) {
  return fputs("declare -A a\nfor ((i = 0; i < 60000; i++)); do k=\"k$((i % 500))\"; a[$k]=\"${a[$k]:0:20}$i\"; done\n"
               "echo \"${#a[@]}\"\n",
               f);
}

static int write_file(const char *path, int (*fill)(FILE *)) {
  FILE *const f = fopen(path, "w");
  if (f == NULL) {
    return -1;
  }
  int const filled = fill(f);
  return fclose(f) == 0 && filled >= 0 ? 0 : -1;
}

/* A repository of 3000 commits, made by one fast-import. */
static int write_history(FILE *f) {
  unsigned r = 4;
  int status = 0;
  for (int i = 1; i <= 3000 && status >= 0; i++) {
    fprintf(f, "commit refs/heads/main\ncommitter a <a@example.org> %d +0000\ndata 10\ncommit %03d\n", 1700000000 + i,
            i % 1000);
    fprintf(f, "M 100644 inline file%d.txt\ndata <<END\n", i % 20);
    for (int line = 0; line < 200; line++) {
      fprintf(f, "line %d %u\n", line, line % 9 == i % 9 ? next(&r) : (unsigned)line);
    }
    status = fputs("END\n\n", f);
  }
  return status;
}

int workloads_prepare(void) {
  if (write_file("data.json", write_json) != 0 || write_file("lines.txt", write_lines) != 0 ||
      write_file("rows.sql", write_sql) != 0 || write_file("large.c", write_c) != 0 ||
      write_file("dicts.py", write_python) != 0 || write_file("hash.pl", write_perl) != 0 ||
      write_file("loop.sh", write_bash) != 0 || write_file("history", write_history) != 0) {
    return -1;
  }
  /* The interpreter itself: the python3 of a version manager is a script that starts dozens of processes before.
   * Without python3 or git their workloads are skipped for want of the program. */
  if (system("python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null) && ln -s \"$python\" python3") < 0) {
    return -1;
  }
  return system("git init -q -b main repo 2>/dev/null && git -C repo fast-import --quiet < history") == -1 ? -1 : 0;
}
