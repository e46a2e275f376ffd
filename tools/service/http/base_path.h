/* The base path: where on its host a reverse proxy has the page. It goes before the path of each link, and is left out
 * of the paths of requests that have it, so that it does not matter whether the proxy has taken it off. */
#ifndef RINGFENCE_TOOLS_SERVICE_HTTP_BASE_PATH_H
#define RINGFENCE_TOOLS_SERVICE_HTTP_BASE_PATH_H

#include "tools/ringfence/base/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_BASE_PATH_MOST = 128 };

/* `text`, as "/ringfence" or "/tools/ringfence/", without a slash at its end: "" for "/". NULL, and *why, where it can
 * be none. Characters that would have to be encoded in a link, a cookie or a header are refused, and so is a path that
 * begins as one of the page's own, which could not be told from it. */
const char *rf_base_path_read(rf_bump_arena *arena, const char *text, const char **why);

/* The part of `path` behind the base path; `path` itself where that is not in front of it. */
const char *rf_base_path_behind(const char *base, const char *path);

#ifdef __cplusplus
}
#endif

#endif
