/* The document as one page of HTML that needs nothing else: no network, no fonts, no script to be read. It is well-formed
 * XML as well, so that tools can take it apart. The style and the script are page/style.css and page/script.js.
 */
#include "tools/ringfence/render/document.h"

#include "tools/ringfence/base/version.h"
#include "tools/ringfence/model/bug_info.h"
#include "tools/ringfence/model/frame_view.h"
#include "tools/ringfence/render/xml.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

static const char style[] =
#include "tools/ringfence/render/page/style.inc"
    ;
static const char script[] =
#include "tools/ringfence/render/page/script.inc"
    ;

typedef struct page {
  rf_bump_arena *arena;
  const rf_document *d;
  const rf_sink *sink;
} page;

/* More than a browser shows in a time that people wait, and than people read. */
#define MOST_SHOWN ((size_t)1000)

static size_t count_shown(const page *p) {
  return p->d->count < MOST_SHOWN ? p->d->count : MOST_SHOWN;
}

/* ---- Text ---- */

static void raw(const page *p, const char *text) {
  rf_sink_str(p->sink, text);
}

static void text(const page *p, const char *value) {
  rf_xml_text(value, p->sink);
}

/* As printf, what it prints taken as text. */
__attribute__((format(printf, 2, 3))) static void print(const page *p, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  text(p, rf_bump_arena_vprint(p->arena, format, arguments));
  va_end(arguments);
}

static const char *many(uint64_t count, const char *one, const char *more) {
  return count == 1 ? one : more;
}

static void number(const page *p, uint64_t value) {
  rf_sink_uint(p->sink, value);
}

static const char *place_text(const page *p, const rf_record *record, rf_stack_kind kind) {
  rf_stack_view const calls = rf_stack_view_of(p->arena, record, kind);
  const rf_frame_view *const top = rf_stack_view_top(&calls);
  return top == NULL ? "place not known" : rf_frame_view_text(p->arena, top, record->directory);
}

/* ---- Head ---- */

static void head(const page *p) {
  raw(p,
      "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta name=\"generator\" content=\"Ringfence " RF_VERSION "\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'\"/>\n<title>");
  print(p, "%zu %s - Ringfence", p->d->count, many(p->d->count, "finding", "findings"));
  raw(p, "</title>\n<style>\n");
  raw(p, style);
  raw(p, "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#findings\">To the findings</a>\n");
}

static void figure(const page *p, const char *class_name, const char *value, const char *name) {
  raw(p, "<li class=\"");
  raw(p, class_name);
  raw(p, "\"><b>");
  text(p, value);
  raw(p, "</b> ");
  text(p, name);
  raw(p, "</li>\n");
}

static const char *count_text(const page *p, uint64_t value) {
  return rf_bump_arena_print(p->arena, "%" PRIu64, value);
}

static void run_figures(const page *p, const rf_totals *t) {
  figure(p, "", count_text(p, t->processes), many(t->processes, "process", "processes"));
  figure(p, "", count_text(p, t->allocations), many(t->allocations, "allocation", "allocations"));
  figure(p, "", rf_bytes_text(p->arena, t->peak), "at the peak");
  if (WIFSIGNALED(t->wait_status)) {
    figure(p, "error", strsignal(WTERMSIG(t->wait_status)), "ended the program");
  } else {
    figure(p, "", count_text(p, (uint64_t)WEXITSTATUS(t->wait_status)), "exit status of the program");
  }
}

static void figures(const page *p) {
  const rf_document *const d = p->d;
  raw(p, "<ul class=\"figures\">\n");
  figure(p, rf_document_new(d) != 0 ? "error" : "good", count_text(p, d->count), many(d->count, "finding", "findings"));
  if (d->baseline != NULL) {
    figure(p, rf_document_new(d) != 0 ? "error" : "good", count_text(p, rf_document_new(d)), "new");
    figure(p, "", count_text(p, d->known), "known (baseline)");
    figure(p, "", count_text(p, rf_baseline_unmet(d->baseline)), "of the baseline not met");
  }
  if (d->times > d->count) {
    figure(p, "", count_text(p, d->times), "times found in all");
  }
  if (d->hidden_times != 0) {
    figure(p, "", count_text(p, d->hidden_times), "suppressed");
  }
  if (d->totals != NULL) {
    run_figures(p, d->totals);
  }
  raw(p, "</ul>\n");
}

static void banner(const page *p) {
  raw(p, "<header>\n<h1>Ringfence report</h1>\n");
  if (p->d->command != NULL) {
    raw(p, "<p class=\"command\"><code>");
    text(p, p->d->command);
    raw(p, "</code></p>\n");
  }
  figures(p);
  raw(p, "</header>\n<main>\n");
}

/* ---- Tools and list ---- */

static size_t count_kind(const page *p, rf_bug bug) {
  size_t count = 0;
  for (size_t i = 0; i < count_shown(p); i++) {
    count += p->d->records[i]->finding.bug == bug;
  }
  return count;
}

static void kind_filters(const page *p) {
  unsigned kinds = 0;
  for (unsigned bug = 0; bug < RF_BUG_COUNT; bug++) {
    kinds += count_kind(p, (rf_bug)bug) != 0;
  }
  for (unsigned bug = 0; bug < RF_BUG_COUNT && kinds > 1; bug++) {
    size_t const count = count_kind(p, (rf_bug)bug);
    if (count != 0) {
      raw(p, "<button type=\"button\" aria-pressed=\"false\" data-kind-filter=\"");
      raw(p, rf_bug_name((rf_bug)bug));
      raw(p, "\">");
      print(p, "%s %zu", rf_bug_name((rf_bug)bug), count);
      raw(p, "</button>\n");
    }
  }
}

static void tools(const page *p) {
  if (p->d->count == 0) {
    return;
  }
  raw(p, "<div class=\"tools\" id=\"tools\" role=\"group\" aria-label=\"Filter and sort\" hidden=\"hidden\">\n"
         "<input type=\"search\" id=\"search\" placeholder=\"Function, file, kind, address\" aria-label=\"Search\"/>\n"
         "<label>Sort by <select id=\"order\"><option value=\"index\">order found</option>"
         "<option value=\"kind\">kind</option><option value=\"place\">place</option>"
         "<option value=\"times\">times found</option><option value=\"size\">size</option></select></label>\n");
  kind_filters(p);
  if (p->d->known != 0) {
    raw(p, "<button type=\"button\" aria-pressed=\"false\" id=\"hide-known\">Hide known</button>\n");
  }
  raw(p, "<button type=\"button\" id=\"open-all\">Open all</button>\n"
         "<button type=\"button\" id=\"close-all\">Close all</button>\n"
         "<span class=\"shown\" id=\"shown\" role=\"status\"></span>\n</div>\n");
}

/* What the script sorts by. */
static void keys(const page *p, const rf_record *record, size_t index) {
  raw(p, " data-index=\"");
  number(p, index);
  raw(p, "\" data-kind=\"");
  raw(p, rf_bug_name(record->finding.bug));
  raw(p, "\" data-times=\"");
  number(p, record->times);
  raw(p, "\" data-size=\"");
  number(p, record->finding.size);
  raw(p, "\" data-place=\"");
  text(p, place_text(p, record, rf_stack_view_blamed(record)));
  raw(p, "\"");
}

static void list(const page *p) {
  if (p->d->count < 2) {
    return;
  }
  raw(p, "<div class=\"scroll\"><table class=\"list\" id=\"list\">\n<thead><tr><th scope=\"col\">Kind</th>"
         "<th scope=\"col\">What</th><th scope=\"col\">Place</th><th scope=\"col\" class=\"number\">Times</th></tr>"
         "</thead>\n<tbody>\n");
  for (size_t i = 0; i < count_shown(p); i++) {
    const rf_record *const record = p->d->records[i];
    raw(p, "<tr id=\"row-f");
    number(p, i + 1);
    raw(p, "\"");
    keys(p, record, i);
    raw(p, "><td><a href=\"#f");
    number(p, i + 1);
    raw(p, "\">");
    raw(p, rf_bug_name(record->finding.bug));
    raw(p, "</a></td><td>");
    text(p, rf_document_title(p->arena, record));
    raw(p, record->known ? " <span class=\"mark\">known</span></td><td class=\"place mono\">"
                         : "</td><td class=\"place mono\">");
    text(p, place_text(p, record, rf_stack_view_blamed(record)));
    raw(p, "</td><td class=\"number\">");
    number(p, record->times);
    raw(p, "</td></tr>\n");
  }
  raw(p, "</tbody></table></div>\n");
}

/* ---- A finding: facts ---- */

static void fact(const page *p, const char *name, const char *value) {
  if (value != NULL) {
    raw(p, "<div><dt>");
    text(p, name);
    raw(p, "</dt><dd class=\"mono\">");
    text(p, value);
    raw(p, "</dd></div>\n");
  }
}

static const char *address_text(const page *p, uintptr_t address) {
  return address == 0 ? NULL : rf_bump_arena_print(p->arena, "0x%" PRIxPTR, address);
}

static const char *access_text(const page *p, const rf_finding *f) {
  static const char *const names[] = {NULL, "read", "write", "free"};
  const char *const name = (unsigned)f->access < 4 ? names[f->access] : NULL;
  return name == NULL || f->access_size == 0 ? name
                                             : rf_bump_arena_print(p->arena, "%s of %zu %s", name, f->access_size,
                                                                   many(f->access_size, "byte", "bytes"));
}

static const char *block_text(const page *p, const rf_finding *f) {
  return f->block == 0 ? NULL
                       : rf_bump_arena_print(p->arena, "0x%" PRIxPTR ", %zu %s%s", f->block, f->size,
                                             many(f->size, "byte", "bytes"), f->freed ? ", freed" : "");
}

static void facts(const page *p, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  raw(p, "<dl class=\"facts\">\n");
  fact(p, "Address", address_text(p, f->address));
  fact(p, "Access", access_text(p, f));
  fact(p, "Block", block_text(p, f));
  fact(p, "Allocated by", f->allocation);
  fact(p, "Freed by", f->deallocation);
  fact(p, "Allocator", f->allocator);
  fact(p, "Mode", f->mode);
  fact(p, "Process", f->process == 0 ? NULL : count_text(p, f->process));
  fact(p, "Program", record->program);
  fact(p, "Fingerprint", record->fingerprint);
  raw(p, "</dl>\n");
}

/* ---- A finding: stacks ---- */

static void source_line(const page *p, const rf_frame_view *call) {
  const char *const line = rf_source_text(p->d->sources, p->arena, call);
  if (line != NULL && !call->plumbing) {
    raw(p, "<code class=\"line\">");
    text(p, line + strspn(line, " \t"));
    raw(p, "</code>");
  }
}

static void frame(const page *p, const rf_frame_view *call) {
  raw(p, call->plumbing ? "<li class=\"plumbing\"><span>" : "<li><span>");
  raw(p, "<span class=\"function\">");
  if (call->function != NULL) {
    text(p, call->function);
  } else if (call->module != NULL) {
    print(p, "%s+0x%" PRIx64, rf_base_name(call->module), call->offset);
  } else {
    print(p, "0x%" PRIx64, call->address);
  }
  raw(p, "</span><span class=\"where\">");
  if (call->file != NULL && call->line != 0) {
    print(p, "%s:%u", rf_path_seen_from(p->d->directory, call->file), call->line);
  } else if (call->file != NULL) {
    text(p, rf_path_seen_from(p->d->directory, call->file));
  } else if (call->module != NULL) {
    print(p, "%s+0x%" PRIx64, call->module, call->offset);
  }
  raw(p, "</span>");
  source_line(p, call);
  raw(p, "</span></li>\n");
}

static void stack(const page *p, const rf_record *record, rf_stack_kind kind, const char *title, uint32_t thread) {
  rf_stack_view const calls = rf_stack_view_of(p->arena, record, kind);
  if (calls.count == 0) {
    return;
  }
  raw(p, "<div class=\"stack\"><h3>");
  text(p, title);
  if (thread != 0) {
    print(p, " - thread %" PRIu32, thread == record->finding.process ? 0 : thread);
  }
  raw(p, "</h3><ol>\n");
  for (size_t i = 0; i < calls.count; i++) {
    frame(p, &calls.list[i]);
  }
  raw(p, "</ol></div>\n");
}

static void stacks(const page *p, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  bool const leak = f->bug == RF_BUG_LEAK;
  bool const found = !leak && (record->found.count != 0 || f->found.site != NULL);
  bool const allocated = record->allocated.count != 0 || f->allocated.site != NULL;
  bool const released = record->released.count != 0 || f->released.site != NULL;
  if (!found && !allocated && !released) {
    return;
  }
  raw(p, "<section class=\"stacks\">\n");
  if (found) {
    stack(p, record, RF_STACK_FOUND, f->access == RF_ACCESS_FREE ? "Freed here" : "Found here", f->found.thread);
  }
  stack(p, record, RF_STACK_RELEASED, f->access == RF_ACCESS_FREE ? "Freed before" : "Freed", f->released.thread);
  stack(p, record, RF_STACK_ALLOCATED, "Allocated", f->allocated.thread);
  raw(p, "</section>\n");
}

/* ---- A finding: bytes ---- */

enum { ROW = 16 };

static const struct {
  rf_byte_class of;
  const char *name; /* for readers */
  const char *style;
} classes[] = {
    {RF_BYTE_USER, "block", "u"},    {RF_BYTE_FREED, "freed block", "f"}, {RF_BYTE_GUARD, "guard, intact", "g"},
    {RF_BYTE_HEADER, "header", "h"}, {RF_BYTE_BAD, "overwritten", "bad"}, {RF_BYTE_OTHER, "other memory", "o"},
};

enum { CLASSES = sizeof classes / sizeof classes[0] };

static size_t class_index(unsigned byte_class) {
  size_t i = 0;
  while (i + 1 < CLASSES && (unsigned)classes[i].of != byte_class) {
    i++;
  }
  return i;
}

static void byte_cell(const page *p, const rf_finding *f, unsigned i) {
  size_t const class_of = class_index(f->window_class[i]);
  bool const bad = f->window_class[i] == RF_BYTE_BAD;
  raw(p, "<td class=\"");
  raw(p, classes[class_of].style);
  raw(p, "\" title=\"");
  print(p, "0x%" PRIxPTR ": %s", f->window_address + i, classes[class_of].name);
  if (bad) {
    print(p, ", expected %02x", f->expected[i]);
  }
  raw(p, "\">");
  print(p, "%02x", f->window[i]);
  raw(p, "</td>");
}

static void byte_row(const page *p, const rf_finding *f, unsigned first, unsigned count, unsigned skipped) {
  raw(p, "<tr><th scope=\"row\">");
  print(p, "0x%" PRIxPTR, f->window_address + first - skipped);
  raw(p, "</th>");
  for (unsigned i = 0; i < skipped; i++) {
    raw(p, "<td></td>");
  }
  for (unsigned i = 0; i < count; i++) {
    byte_cell(p, f, first + i);
  }
  for (unsigned i = skipped + count; i < ROW; i++) {
    raw(p, "<td></td>");
  }
  raw(p, "<td class=\"text\">");
  for (unsigned i = 0; i < skipped; i++) {
    raw(p, " ");
  }
  for (unsigned i = 0; i < count; i++) {
    unsigned char const c = f->window[first + i];
    print(p, "%c", c >= 0x20 && c < 0x7F ? c : '.');
  }
  raw(p, "</td></tr>\n");
}

/* Rows begin at multiples of their length: the columns are the last digit of the address. */
static void byte_head(const page *p) {
  raw(p, "<thead><tr><th scope=\"col\">address</th>");
  for (unsigned i = 0; i < ROW; i++) {
    raw(p, "<th scope=\"col\">");
    print(p, "%x", i);
    raw(p, "</th>");
  }
  raw(p, "<th scope=\"col\">text</th></tr></thead>\n");
}

static bool has_class(const rf_finding *f, rf_byte_class wanted) {
  for (unsigned i = 0; i < f->window_size; i++) {
    if (f->window_class[i] == (unsigned)wanted) {
      return true;
    }
  }
  return false;
}

static const char *expected_text(const page *p, const rf_finding *f) {
  for (unsigned i = 0; i < f->window_size; i++) {
    if (f->window_class[i] == RF_BYTE_BAD) {
      return rf_bump_arena_print(p->arena, "%02x", f->expected[i]);
    }
  }
  return NULL;
}

static void legend(const page *p, const rf_finding *f) {
  raw(p, "<ul class=\"legend\">\n");
  for (size_t i = 0; i < CLASSES; i++) {
    if (!has_class(f, classes[i].of)) {
      continue;
    }
    raw(p, "<li><span class=\"box ");
    raw(p, classes[i].style);
    raw(p, "\">00</span>");
    text(p, classes[i].name);
    if (classes[i].of == RF_BYTE_BAD) {
      print(p, ", was to be %s", expected_text(p, f));
    }
    raw(p, "</li>\n");
  }
  raw(p, "</ul>\n");
}

static void bytes(const page *p, const rf_finding *f) {
  if (f->window_size == 0) {
    return;
  }
  raw(p, "<section><h3>Bytes as found</h3>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
         "aria-label=\"Bytes as found\"><table class=\"hex\">\n");
  byte_head(p);
  raw(p, "<tbody>\n");
  for (unsigned first = 0; first < f->window_size;) {
    unsigned const skipped = (unsigned)((f->window_address + first) % ROW);
    unsigned const left = f->window_size - first;
    unsigned const count = left < ROW - skipped ? left : ROW - skipped;
    byte_row(p, f, first, count, skipped);
    first += count;
  }
  raw(p, "</tbody></table></div>\n");
  legend(p, f);
  raw(p, "</section>\n");
}

/* ---- A finding ---- */

static void marks(const page *p, const rf_record *record) {
  raw(p, "<span class=\"marks\">");
  if (record->known) {
    raw(p, "<span class=\"mark\">known</span>");
  } else if (p->d->baseline != NULL) {
    raw(p, "<span class=\"mark\">new</span>");
  }
  if (record->times > 1) {
    raw(p, "<span class=\"mark\">");
    print(p, "%u times", record->times);
    raw(p, "</span>");
  }
  if (record->processes > 1) {
    raw(p, "<span class=\"mark\">");
    print(p, "%u processes", record->processes);
    raw(p, "</span>");
  }
  if (record->finding.cwe != 0) {
    raw(p, "<span class=\"mark\">");
    print(p, "CWE-%u", record->finding.cwe);
    raw(p, "</span>");
  }
  raw(p, "</span>");
}

static void about(const page *p, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  raw(p, "<p class=\"about\">");
  text(p, rf_bug_meaning(f->bug));
  if (f->detail != NULL) {
    raw(p, " Seen: ");
    text(p, f->detail);
    raw(p, ".");
  }
  raw(p, " <span class=\"dim\">");
  text(p, rf_bug_advice(f->bug));
  raw(p, "</span></p>\n");
}

static void finding(const page *p, const rf_record *record, size_t index) {
  const char *const level = rf_bug_level(record->finding.bug);
  raw(p, "<details open=\"open\" class=\"finding ");
  raw(p, level);
  raw(p, record->known ? " known\" id=\"f" : "\" id=\"f");
  number(p, index + 1);
  raw(p, "\"");
  keys(p, record, index);
  raw(p, ">\n<summary><span class=\"kind\">");
  raw(p, rf_bug_name(record->finding.bug));
  raw(p, "</span>");
  marks(p, record);
  raw(p, "<span class=\"title\">");
  text(p, rf_document_title(p->arena, record));
  raw(p, "</span><span class=\"place mono\">");
  text(p, place_text(p, record, rf_stack_view_blamed(record)));
  raw(p, "</span></summary>\n<div class=\"body\">\n");
  about(p, record);
  stacks(p, record);
  bytes(p, &record->finding);
  facts(p, record);
  raw(p, "</div>\n</details>\n");
}

static void left_out(const page *p) {
  if (count_shown(p) < p->d->count) {
    raw(p, "<p>");
    print(p, "Here are the first %zu; %zu more are left out. JSON, SARIF and text have all.", count_shown(p),
          p->d->count - count_shown(p));
    raw(p, "</p>\n");
  }
}

static void findings(const page *p) {
  raw(p, "<h2>Findings</h2>\n");
  left_out(p);
  tools(p);
  list(p);
  raw(p, p->d->count < 2 ? "" : "<h2>Each in detail</h2>\n");
  raw(p, "<div id=\"findings\">\n");
  for (size_t i = 0; i < count_shown(p); i++) {
    finding(p, p->d->records[i], i);
  }
  if (p->d->count == 0) {
    raw(p, "<p class=\"empty\">Nothing was found.</p>\n");
  }
  raw(p, "</div>\n");
}

/* ---- Snapshots ---- */

static int64_t largest(const rf_snapshot_table *t) {
  int64_t most = 1;
  for (size_t i = 0; i < t->count; i++) {
    int64_t const size = t->rows[i].bytes < 0 ? -t->rows[i].bytes : t->rows[i].bytes;
    most = size > most ? size : most;
  }
  return most;
}

static void signed_cell(const page *p, int64_t value, bool difference, int64_t most) {
  raw(p, "<td class=\"number");
  raw(p, !difference ? "\"" : value > 0 ? " grow\"" : value < 0 ? " shrink\"" : "\"");
  raw(p, " data-value=\"");
  rf_sink_int(p->sink, value);
  raw(p, "\">");
  if (difference) {
    print(p, "%+" PRId64, value);
  } else {
    print(p, "%" PRId64, value);
  }
  if (most != 0) {
    raw(p, "<span class=\"bar\" style=\"width:");
    print(p, "%d%%", (int)(100.0 * (double)(value < 0 ? -value : value) / (double)most));
    raw(p, "\"></span>");
  }
  raw(p, "</td>");
}

static void chain(const page *p, const rf_record *origin) {
  rf_stack_view const calls = rf_stack_view_of(p->arena, origin, RF_STACK_ALLOCATED);
  const rf_frame_view *const top = rf_stack_view_top(&calls);
  unsigned shown = 0;
  text(p, top == NULL ? "place not known" : rf_frame_view_text(p->arena, top, origin->directory));
  for (size_t i = 0; i < calls.count && shown < 3; i++) {
    if (!calls.list[i].plumbing && top != NULL && &calls.list[i] > top) {
      raw(p, shown == 0 ? "<br/><span class=\"chain\">from " : ", ");
      text(p, rf_frame_view_text(p->arena, &calls.list[i], origin->directory));
      shown++;
    }
  }
  raw(p, shown != 0 ? "</span>" : "");
}

static void snapshot_head(const page *p, const rf_snapshot_table *t) {
  raw(p, "<h2>");
  if (t->since == NULL) {
    print(p, "Snapshot \"%s\"", t->name);
  } else {
    print(p, "From \"%s\" to \"%s\": allocated since and not freed", t->since, t->name);
  }
  raw(p, "</h2>\n<p class=\"dim\">");
  if (t->since == NULL) {
    print(p, "%" PRId64 " %s, %" PRId64 " bytes live", t->blocks, many((uint64_t)t->blocks, "block", "blocks"),
          t->bytes);
  } else {
    print(p, "%+" PRId64 " blocks, %+" PRId64 " bytes", t->blocks, t->bytes);
  }
  if (t->allocator != NULL) {
    print(p, ", allocator %s", t->allocator);
  }
  if (t->process != 0) {
    print(p, ", process %" PRIu32, t->process);
  }
  if (t->omitted != 0) {
    print(p, "; %" PRIu64 " blocks of call sites for which there was no room", t->omitted);
  }
  raw(p, "</p>\n");
}

static void snapshot(const page *p, const rf_snapshot_table *t) {
  bool const difference = t->since != NULL;
  int64_t const most = largest(t);
  snapshot_head(p, t);
  if (t->count == 0) {
    raw(p, difference ? "<p class=\"empty\">No difference.</p>\n" : "<p class=\"empty\">Nothing was live.</p>\n");
    return;
  }
  raw(p, "<div class=\"scroll\"><table class=\"list sortable\">\n<thead><tr><th scope=\"col\" class=\"number\" "
         "aria-sort=\"descending\">Bytes</th><th scope=\"col\" class=\"number\">Blocks</th><th scope=\"col\">Call "
         "site</th></tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < t->count; i++) {
    raw(p, "<tr>");
    signed_cell(p, t->rows[i].bytes, difference, most);
    signed_cell(p, t->rows[i].blocks, difference, 0);
    raw(p, "<td class=\"place mono\">");
    chain(p, t->rows[i].origin);
    raw(p, "</td></tr>\n");
  }
  raw(p, "</tbody></table></div>\n");
}

/* ---- Suppressions ---- */

static void suppressions(const page *p) {
  if (p->d->rule_count == 0) {
    return;
  }
  raw(p, "<h2>Suppressions used</h2>\n<div class=\"scroll\"><table class=\"list sortable\">\n<thead><tr>"
         "<th scope=\"col\" class=\"number\">Times</th><th scope=\"col\" class=\"number\">Bytes</th>"
         "<th scope=\"col\">Rule</th></tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < p->d->rule_count; i++) {
    raw(p, "<tr><td class=\"number\">");
    number(p, p->d->rules[i].count);
    raw(p, "</td><td class=\"number\">");
    number(p, p->d->rules[i].bytes);
    raw(p, "</td><td class=\"place mono\">");
    text(p, p->d->rules[i].rule);
    raw(p, "</td></tr>\n");
  }
  raw(p, "</tbody></table></div>\n");
}

void rf_document_html(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  page const p = {arena, d, sink};
  head(&p);
  banner(&p);
  findings(&p);
  for (size_t i = 0; i < d->snapshot_count; i++) {
    snapshot(&p, d->snapshots[i]);
  }
  suppressions(&p);
  raw(&p, "</main>\n<footer>Written by Ringfence " RF_VERSION ".</footer>\n<script>\n");
  raw(&p, script);
  raw(&p, "</script>\n</body>\n</html>\n");
}
