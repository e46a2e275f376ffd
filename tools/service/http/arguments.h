/* Values of query strings, before a question is asked with them. */
#ifndef RINGFENCE_TOOLS_SERVICE_HTTP_ARGUMENTS_H
#define RINGFENCE_TOOLS_SERVICE_HTTP_ARGUMENTS_H

#include "tools/service/http/request.h"

#include <stdint.h>

/* `text` as a number from 0 on; `fallback` where it is NULL, empty or none. */
int64_t rf_argument_number(const char *text, int64_t fallback);

/* A message that says which value in the query string of a page, or of a question, is wrong; NULL: none is. */
const char *rf_argument_value_error(rf_request *r);

/* Checks the query string of a GET of /api/v1/`what` by the rules of the command's options. Returns a message for the
 * client, in the request's arena, or NULL if all names and values are valid. */
const char *rf_argument_error(rf_request *r, const char *what);

/* The same of any query string, of a page as well: no name or value is cut by a NUL. */
const char *rf_query_error(rf_request *r);

/* The same of a POST, whose body, where it is a form, has no other fields than its path takes. */
const char *rf_form_error(rf_request *r);

#endif
