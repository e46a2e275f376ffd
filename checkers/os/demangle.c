/* Demangling: whole names, from what stands before a name to what a compiler adds behind it. */
#include "demangle_impl.h"

#include <string.h>

static part special(rf_demangle *d) {
  part kind = NOTHING;
  if (rf_demangle_accept(d, "TH") || rf_demangle_accept(d, "TW")) {
    kind = rf_part_literal(d, d->in[-1] == 'H' ? "TLS init function for " : "TLS wrapper function for ");
    return rf_part_joined(d, kind, rf_demangle_encoding(d, false));
  }
  if (rf_demangle_accept(d, "Th")) {
    kind = rf_part_literal(d, "non-virtual thunk to ");
  } else if (rf_demangle_accept(d, "Tv")) {
    kind = rf_part_literal(d, "virtual thunk to ");
  } else {
    return rf_demangle_encoding(d, true);
  }
  unsigned const offsets = d->in[-1] == 'h' ? 1 : 2;
  for (unsigned i = 0; i < offsets; i++) {
    (void)rf_demangle_accept(d, "n");
    (void)rf_demangle_number(d);
    d->failed = d->failed || !rf_demangle_accept(d, "_");
  }
  part const of = rf_demangle_encoding(d, true);
  return rf_part_joined(d, kind, of);
}

RF_COLD const char *rf_demangle_name(rf_demangle *d, const char *mangled) {
  if (strncmp(mangled, "_Z", 2) != 0) {
    return NULL;
  }
  memset(d, 0, offsetof(rf_demangle, parts));
  d->after = "";
  d->in = mangled + 2;
  d->pack_first = RF_DEMANGLE_ARGUMENTS;
  part out = special(d);
  if (!d->failed && *d->in == '.') {
    out = rf_part_with(d, rf_part_joined(d, rf_part_with(d, out, " [clone "), rf_part_literal(d, d->in)), "]");
    d->in += strlen(d->in);
  }
  if (d->failed || *d->in != '\0' || !rf_demangle_append(d, "", 0)) {
    return NULL;
  }
  out = out.at + out.size == d->used ? out : rf_part_copy(d, d->text + out.at, out.size);
  if (d->failed || out.size == 0) {
    return NULL;
  }
  d->text[out.at + out.size] = '\0';
  return d->text + out.at;
}
