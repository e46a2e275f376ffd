/* Writing XML and HTML. */
#ifndef RINGFENCE_TOOLS_RENDER_MARKUP_H
#define RINGFENCE_TOOLS_RENDER_MARKUP_H

#include <ringfence/sink.h>

/* Writes `text` (NULL: nothing) for use between tags and in quoted attributes. Control characters and bytes that are
 * no UTF-8, which XML cannot hold, become U+FFFD; characters that turn the direction of text become their code
 * ("\u202E"). */
void rf_markup_text(const char *text, const rf_sink *sink);

/* Writes `format` as it is, and for each conversion, as of printf, its argument: %s a text, escaped by rf_markup_text;
 * %u an unsigned, %zu a size_t; %% is a percent sign. No other conversions. */
void rf_markup(const rf_sink *sink, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif /* RINGFENCE_TOOLS_RENDER_MARKUP_H */
