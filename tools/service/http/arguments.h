/* Values of query strings, before a question is asked with them. */
#ifndef RINGFENCE_TOOLS_SERVICE_HTTP_ARGUMENTS_H
#define RINGFENCE_TOOLS_SERVICE_HTTP_ARGUMENTS_H

#include "tools/service/http/request.h"

#include <stdint.h>

/* `text` as a number from 0 on; `fallback` where it is NULL, empty or none. */
int64_t rf_argument_number(const char *text, int64_t fallback);

/* What is wrong with the arguments of a question to the interface for programs, in the request's arena, as the command
 * would refuse the same; NULL: nothing. Arguments that no question has are not looked at. */
const char *rf_argument_error(rf_request *r);

#endif
