/* Parts that several pages have. */
#ifndef RINGFENCE_TOOLS_SERVICE_PAGE_PARTS_H
#define RINGFENCE_TOOLS_SERVICE_PAGE_PARTS_H

#include "tools/ringfence/render/markup.h"
#include "tools/service/page/page.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Markup as it stands. */
void rf_page_raw(const rf_page *p, const char *markup);

/* Up to and with <main>; `active` is the path of the entry of the menu. */
void rf_page_head(const rf_sink *sink, const char *base, const char *title, const char *active);
void rf_page_foot(const rf_sink *sink);

/* A member that is a number without commas, for paths and names; 0 where it is missing. Lives in the arena. */
const char *rf_page_plain_number(const rf_page *p, const rf_json *object, const char *name);

/* "1,234,567"; "3 h ago"; "12.5". Text lives in the arena. */
const char *rf_page_number(const rf_page *p, uint64_t value);

/* "1,234 events". */
const char *rf_page_counted(const rf_page *p, uint64_t count, const char *noun);
const char *rf_page_ago(const rf_page *p, const char *time);
void rf_page_time(const rf_page *p, const char *time);

/* A member that is a number with a fraction: "4,100", "12.5", "0.004", as many digits as matter. */
const char *rf_page_real(const rf_page *p, const rf_json *object, const char *name);

/* A cell with a member that is a number; on a narrow screen, `one` or `many` stands behind it. */
void rf_page_number_cell(const rf_page *p, const rf_json *object, const char *name, const char *one, const char *many);

/* Says that one has to sign in `to` do something, where to do so, and the command that does it as well. */
void rf_page_sign_in_to(const rf_page *p, const char *to, const char *command);

/* The build of a process, an event or a row: its version and its name, of which long ids are cut. */
const char *rf_page_build(const rf_page *p, const rf_json *object);

/* The member "place" of a finding: "parse src/app.c:12". A file in the folder of sources is named from there. */
const char *rf_page_place(const rf_page *p, const rf_json *finding);

/* A build with `version` and `name`, as a link to the findings that were seen in it. */
void rf_page_build_link(const rf_page *p, const rf_json *build);

/* A badge of a finding's state. */
void rf_page_state(const rf_page *p, const rf_json *finding);

/* Says that nothing is there yet, and with which command something comes: `options` of ringfence check, "" or ending
 * with a space. */
void rf_page_nothing_yet(const rf_page *p, const char *sentence, const char *options, const char *program);

/* A card with a figure. */
void rf_page_figure(const rf_page *p, const char *class_name, const char *value, const char *name);

/* A line of bars, one for each number of the list, which are events for rf_page_spark; `label` says what they count. */
void rf_page_bars(const rf_page *p, const rf_json *list, const char *label);
void rf_page_spark(const rf_page *p, const rf_json *list);
void rf_page_chart(const rf_page *p, const rf_json *list, const char *label);

/* Says how many of the members "total" a list shows, and leads to its other parts: `link` is a path with parameters. */
void rf_page_pager(const rf_page *p, const char *link, const char *noun, uint64_t shown);

/* True where the part that was asked for begins behind the end of a list of `total`, which has become shorter since:
 * says so, and leads to its beginning. */
bool rf_page_is_behind(const rf_page *p, uint64_t total, const char *link);

/* The sum of a list of numbers, and the largest. */
uint64_t rf_page_sum(const rf_json *list, uint64_t *most);

#ifdef __cplusplus
}
#endif

#endif
