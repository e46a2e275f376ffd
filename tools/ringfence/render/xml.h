/* Text in XML and HTML. */
#ifndef RINGFENCE_TOOLS_RENDER_XML_H
#define RINGFENCE_TOOLS_RENDER_XML_H

#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes `text` (NULL: nothing) for use between tags and in quoted attributes. What XML cannot hold, control characters and
 * bytes that are no UTF-8, becomes U+FFFD; what would turn the direction of the text is written as its code ("\u202E"). */
void rf_xml_text(const char *text, const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RENDER_XML_H */
