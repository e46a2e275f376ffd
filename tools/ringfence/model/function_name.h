/* Names of functions in the form in which stacks are compared.
 *
 * Compilers, linkers and symbolizers write the name of one function in several ways: `parse`, `parse.constprop.0`,
 * `parse.cold`, `parse@@LIB_1`, `_ZN3app5parseEPKc`, `app::parse(char const*)`, `void app::parse<int>(int)`. All of one
 * source name must compare equal: a production build against a development build, a board's __func__ against a host's
 * symbol table. So suffixes of compilers and linkers, parameters, template arguments, return types and anonymous
 * namespaces are left out; overloads and instances of one template have one name.
 */
#ifndef RINGFENCE_TOOLS_MODEL_FUNCTION_NAME_H
#define RINGFENCE_TOOLS_MODEL_FUNCTION_NAME_H

#include "tools/ringfence/base/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The normalised form of `name`, in the arena; `name` itself where nothing would be left of it. Mangled C++ names are
 * decoded where they have neither templates nor substitutions, else kept. Linear in the length of the name. */
const char *rf_function_name(rf_bump_arena *arena, const char *name);

#ifdef __cplusplus
}
#endif

#endif
