/* A finding on the HTML page: its stacks, bytes and facts. */
#include "tools/ringfence/render/html_page.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/model/bug_info.h"
#include "tools/ringfence/render/markup.h"

#include <inttypes.h>
#include <string.h>

static void raw(const rf_html_page *p, const char *text) {
  rf_sink_str(p->sink, text);
}

/* Templates of C++ have names of thousands of characters: the page shows their start and end. */
static const char *shortened(const rf_html_page *p, const char *text) {
  enum { LONGEST = 200, START = 120, END = 40 };
  size_t const length = strlen(text);
  if (length <= LONGEST) {
    return text;
  }
  size_t start = START;
  size_t end = length - END;
  while (start > 0 && ((unsigned char)text[start] & 0xC0) == 0x80) { /* not within a character of UTF-8 */
    start--;
  }
  while (end < length && ((unsigned char)text[end] & 0xC0) == 0x80) {
    end++;
  }
  return rf_bump_arena_print(p->arena, "%.*s \xE2\x80\xA6 %s", (int)start, text, text + end);
}

const char *rf_html_place(const rf_html_page *p, const rf_record *record, rf_stack_kind kind) {
  rf_stack_view const view = rf_stack_view_of(p->arena, record, kind);
  const rf_frame_view *const top = rf_stack_view_top(&view);
  return top == NULL ? "unknown place" : shortened(p, rf_frame_view_text(p->arena, top, record->directory));
}

void rf_html_sort_keys(const rf_html_page *p, const rf_record *record, size_t index) {
  rf_markup(p->sink, " data-index=\"%zu\" data-kind=\"%s\" data-times=\"%u\" data-size=\"%zu\" data-place=\"%s\"",
            index, rf_bug_name(record->finding.bug), record->times, record->finding.size,
            rf_html_place(p, record, rf_stack_view_blamed(record)));
}

/* ---- Facts ---- */

/* A path has a row of its own: in a column it would be broken within its words. */
static void fact(const rf_html_page *p, const char *name, const char *value) {
  enum { COLUMN = 24 };
  if (value != NULL) {
    raw(p, strlen(value) > COLUMN ? "<div class=\"long\">" : "<div>");
    rf_markup(p->sink, "<dt>%s</dt><dd class=\"mono\">%s</dd></div>\n", name, value);
  }
}

static const char *access_text(const rf_html_page *p, const rf_finding *f) {
  static const char *const names[] = {NULL, "read", "write", "free"};
  const char *const name = (unsigned)f->access < 4 ? names[f->access] : NULL;
  return name == NULL || f->access_size == 0
             ? name
             : rf_bump_arena_print(p->arena, "%s of %s", name, rf_counted(p->arena, f->access_size, "byte"));
}

static const char *block_text(const rf_html_page *p, const rf_finding *f) {
  return f->block == 0 ? NULL
                       : rf_bump_arena_print(p->arena, "0x%" PRIxPTR ", %s%s", f->block,
                                             rf_counted(p->arena, f->size, "byte"), f->freed ? ", freed" : "");
}

static void facts(const rf_html_page *p, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  raw(p, "<dl class=\"facts\">\n");
  fact(p, "Address", f->address == 0 ? NULL : rf_bump_arena_print(p->arena, "0x%" PRIxPTR, f->address));
  fact(p, "Access", access_text(p, f));
  fact(p, "Block", block_text(p, f));
  fact(p, "Allocated by", f->allocation);
  fact(p, "Freed by", f->deallocation);
  fact(p, "Allocator", f->allocator);
  fact(p, "Mode", f->mode);
  fact(p, "Process", f->process == 0 ? NULL : rf_bump_arena_print(p->arena, "%" PRIu32, f->process));
  fact(p, "Program", record->program);
  fact(p, "Fingerprint", record->fingerprint);
  raw(p, "</dl>\n");
}

/* ---- Stacks ---- */

static const char *function_text(const rf_html_page *p, const rf_frame_view *f) {
  if (f->function != NULL) {
    return shortened(p, f->function);
  }
  return f->module != NULL ? rf_bump_arena_print(p->arena, "%s+0x%" PRIx64, rf_base_name(f->module), f->offset)
                           : rf_bump_arena_print(p->arena, "0x%" PRIx64, f->address);
}

static const char *where_text(const rf_html_page *p, const rf_frame_view *f) {
  if (f->file != NULL) {
    const char *const file = rf_path_seen_from(p->d->directory, f->file);
    return f->line == 0 ? file : rf_bump_arena_print(p->arena, "%s:%u", file, f->line);
  }
  return f->module == NULL ? NULL : rf_bump_arena_print(p->arena, "%s+0x%" PRIx64, f->module, f->offset);
}

static void frame(const rf_html_page *p, const rf_frame_view *f) {
  bool const others = f->runtime || f->system_header;
  const char *const line = others ? NULL : rf_source_text(p->d->sources, p->arena, f);
  raw(p, others ? "<li class=\"runtime\">" : "<li>");
  rf_markup(p->sink, "<span><span class=\"function\">%s</span><span class=\"where\">%s</span>", function_text(p, f),
            where_text(p, f));
  if (line != NULL) {
    rf_markup(p->sink, "<code class=\"line\">%s</code>", line + strspn(line, " \t"));
  }
  raw(p, "</span></li>\n");
}

static void stack(const rf_html_page *p, const rf_record *record, rf_stack_kind kind, const char *title,
                  uint32_t thread) {
  rf_stack_view const view = rf_stack_view_of(p->arena, record, kind);
  if (view.count == 0) {
    return;
  }
  rf_markup(p->sink, "<div class=\"stack\"><h3>%s", title);
  if (thread != 0) {
    rf_markup(p->sink, " - thread %u", (unsigned)(thread == record->finding.process ? 0 : thread));
  }
  raw(p, "</h3><ol>\n");
  for (size_t i = 0; i < view.count; i++) {
    frame(p, &view.list[i]);
  }
  raw(p, "</ol></div>\n");
}

static void stacks(const rf_html_page *p, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  bool const freeing = f->access == RF_ACCESS_FREE;
  raw(p, "<section class=\"stacks\">\n");
  if (f->bug != RF_BUG_LEAK) {
    stack(p, record, RF_STACK_FOUND, freeing ? "Freed here" : "Found here", f->found.thread);
  }
  stack(p, record, RF_STACK_RELEASED, freeing ? "Freed before" : "Freed", f->released.thread);
  stack(p, record, RF_STACK_ALLOCATED, "Allocated", f->allocated.thread);
  raw(p, "</section>\n");
}

/* ---- Bytes ---- */

enum { ROW = 16 };

static const struct {
  rf_byte_class of;
  const char *name;
  const char *style;
} classes[] = {
    {RF_BYTE_USER, "block", "u"},         {RF_BYTE_FREED, "freed block", "f"}, {RF_BYTE_GUARD, "guard, intact", "g"},
    {RF_BYTE_HEADER, "header", "h"},      {RF_BYTE_BAD, "overwritten", "bad"}, {RF_BYTE_LEFT_OUT, "left out", "o"},
    {RF_BYTE_OTHER, "other memory", "o"},
};

enum { CLASSES = sizeof classes / sizeof classes[0] };

static size_t class_index(unsigned byte_class) {
  size_t i = 0;
  while (i + 1 < CLASSES && (unsigned)classes[i].of != byte_class) {
    i++;
  }
  return i;
}

static const char *byte_text(const rf_html_page *p, unsigned byte) {
  return rf_bump_arena_print(p->arena, "%02x", byte);
}

static void byte_cell(const rf_html_page *p, const rf_finding *f, unsigned i) {
  size_t const class_of = class_index(f->window_class[i]);
  rf_markup(p->sink, "<td class=\"%s\" title=\"%s: %s", classes[class_of].style,
            rf_bump_arena_print(p->arena, "0x%" PRIxPTR, f->window_address + i), classes[class_of].name);
  if (f->window_class[i] == RF_BYTE_BAD) {
    rf_markup(p->sink, ", expected %s", byte_text(p, f->expected[i]));
  }
  rf_markup(p->sink, "\">%s</td>", f->window_class[i] == RF_BYTE_LEFT_OUT ? "--" : byte_text(p, f->window[i]));
}

static void empty_cells(const rf_html_page *p, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    raw(p, "<td></td>");
  }
}

/* `count` bytes from the index `first`, in the columns from `column` on. */
static void byte_row(const rf_html_page *p, const rf_finding *f, unsigned first, unsigned count, unsigned column) {
  char text[ROW + 1] = "";
  rf_markup(p->sink, "<tr><th scope=\"row\">%s</th>",
            rf_bump_arena_print(p->arena, "0x%" PRIxPTR, f->window_address + first - column));
  empty_cells(p, column);
  memset(text, ' ', column);
  for (unsigned i = 0; i < count; i++) {
    unsigned char const c = f->window[first + i];
    byte_cell(p, f, first + i);
    text[column + i] = (char)(c >= 0x20 && c < 0x7F ? c : '.');
  }
  empty_cells(p, ROW - column - count);
  rf_markup(p->sink, "<td class=\"text\">%s</td></tr>\n", text);
}

/* Rows begin at multiples of their length: the columns are the last digit of the address. */
static void byte_head(const rf_html_page *p) {
  raw(p, "<thead><tr><th scope=\"col\">address</th>");
  for (unsigned i = 0; i < ROW; i++) {
    rf_markup(p->sink, "<th scope=\"col\">%s</th>", rf_bump_arena_print(p->arena, "%x", i));
  }
  raw(p, "<th scope=\"col\">text</th></tr></thead>\n");
}

/* The index of the first byte of a class; window_size where there is none. */
static unsigned find_class(const rf_finding *f, rf_byte_class wanted) {
  unsigned i = 0;
  while (i < f->window_size && f->window_class[i] != (unsigned)wanted) {
    i++;
  }
  return i;
}

static void legend(const rf_html_page *p, const rf_finding *f) {
  raw(p, "<ul class=\"legend\">\n");
  for (size_t i = 0; i < CLASSES; i++) {
    unsigned const first = find_class(f, classes[i].of);
    if (first == f->window_size) {
      continue;
    }
    rf_markup(p->sink, "<li><span class=\"box %s\">%s</span>%s", classes[i].style,
              classes[i].of == RF_BYTE_LEFT_OUT ? "--" : "00", classes[i].name);
    if (classes[i].of == RF_BYTE_BAD) {
      rf_markup(p->sink, ", expected %s", byte_text(p, f->expected[first]));
    }
    raw(p, "</li>\n");
  }
  raw(p, "</ul>\n");
}

static bool shows_bytes(const rf_finding *f) {
  unsigned i = 0;
  while (i < f->window_size && f->window_class[i] == RF_BYTE_LEFT_OUT) {
    i++;
  }
  return i < f->window_size;
}

static void bytes(const rf_html_page *p, const rf_finding *f) {
  if (!shows_bytes(f)) {
    return;
  }
  raw(p, "<section><h3>Bytes as found</h3>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
         "aria-label=\"Bytes as found\"><table class=\"hex\">\n");
  byte_head(p);
  raw(p, "<tbody>\n");
  for (unsigned first = 0; first < f->window_size;) {
    unsigned const column = (unsigned)((f->window_address + first) % ROW);
    unsigned const left = f->window_size - first;
    unsigned const count = left < ROW - column ? left : ROW - column;
    byte_row(p, f, first, count, column);
    first += count;
  }
  raw(p, "</tbody></table></div>\n");
  legend(p, f);
  raw(p, "</section>\n");
}

/* ---- The whole ---- */

static void mark(const rf_html_page *p, const char *text) {
  rf_markup(p->sink, "<span class=\"mark\">%s</span>", text);
}

static void marks(const rf_html_page *p, const rf_record *record) {
  raw(p, "<span class=\"marks\">");
  if (p->d->baseline != NULL) {
    mark(p, record->known ? "known" : record->known_blocks != 0 ? "grown" : "new");
  }
  if (record->times > 1) {
    mark(p, rf_counted(p->arena, record->times, "time"));
  }
  if (record->processes > 1) {
    mark(p, rf_counted(p->arena, record->processes, "process"));
  }
  if (record->finding.cwe != 0) {
    mark(p, rf_bump_arena_print(p->arena, "CWE-%u", record->finding.cwe));
  }
  raw(p, "</span>");
}

static void about(const rf_html_page *p, const rf_finding *f) {
  rf_markup(p->sink, "<p class=\"about\">%s", rf_bug_meaning(f->bug));
  if (f->detail != NULL) {
    rf_markup(p->sink, " Seen: %s.", f->detail);
  }
  rf_markup(p->sink, " <span class=\"dim\">%s</span></p>\n", rf_bug_advice(f->bug));
}

void rf_html_body(const rf_html_page *p, const rf_record *record) {
  about(p, &record->finding);
  stacks(p, record);
  bytes(p, &record->finding);
  facts(p, record);
}

void rf_html_finding(const rf_html_page *p, const rf_record *record, size_t index) {
  const rf_finding *const f = &record->finding;
  rf_markup(p->sink, "<details open=\"open\" class=\"finding %s%s\" id=\"f%zu\"", rf_bug_level(f->bug),
            record->known ? " known" : "", index + 1);
  rf_html_sort_keys(p, record, index);
  rf_markup(p->sink, ">\n<summary><span class=\"kind\">%s</span>", rf_bug_name(f->bug));
  marks(p, record);
  rf_markup(p->sink,
            "<span class=\"title\">%s</span><span class=\"place mono\">%s</span></summary>\n<div class=\"body\">\n",
            rf_document_title(p->arena, record), rf_html_place(p, record, rf_stack_view_blamed(record)));
  rf_html_body(p, record);
  raw(p, "</div>\n</details>\n");
}
