/* Demangling: the texts of parts. */
#include "demangle_impl.h"

#include <string.h>

RF_COLD bool rf_demangle_append(rf_demangle *d, const char *from, size_t size) {
  if (size > RF_DEMANGLE_TEXT - 1 - d->used) {
    d->failed = true;
    return false;
  }
  memmove(d->text + d->used, from, size);
  d->used += (unsigned)size;
  return true;
}

RF_COLD part rf_part_copy(rf_demangle *d, const char *from, size_t size) {
  part const out = {(unsigned short)d->used, (unsigned short)size, 0, false, false};
  return rf_demangle_append(d, from, size) ? out : NOTHING;
}

RF_COLD part rf_part_literal(rf_demangle *d, const char *from) {
  return rf_part_copy(d, from, strlen(from));
}

RF_COLD part rf_part_with(rf_demangle *d, part a, const char *b) {
  part const out = a.at + a.size == d->used ? a : rf_part_copy(d, d->text + a.at, a.size);
  size_t const size = strlen(b);
  return rf_demangle_append(d, b, size) ? (part){out.at, (unsigned short)(out.size + size), a.hole, a.pack, a.argument}
                                        : NOTHING;
}

RF_COLD part rf_part_joined(rf_demangle *d, part a, part b) {
  part const out = a.at + a.size == d->used ? a : rf_part_copy(d, d->text + a.at, a.size);
  unsigned short const size = (unsigned short)(out.size + b.size);
  return rf_demangle_append(d, d->text + b.at, b.size)
             ? (part){out.at, size, a.hole, a.pack || b.pack, a.argument || b.argument}
             : NOTHING;
}

RF_COLD part rf_part_scoped(rf_demangle *d, part scope, part inner) {
  return scope.size == 0 ? inner : rf_part_joined(d, rf_part_with(d, scope, "::"), inner);
}

RF_COLD part rf_part_base_of(rf_demangle *d, part scope) {
  const char *const text = d->text + scope.at;
  size_t end = scope.size;
  unsigned depth = 0;
  size_t i = scope.size;
  for (; i != 0; i--) {
    char const c = text[i - 1];
    depth += c == '>' || c == ')' || c == ']' || c == '}' ? 1 : 0;
    if (c == '{' && depth != 0) { /* a lambda: its text is its name */
      depth--;
    } else if ((c == '<' || c == '(' || c == '[') && depth-- == 1) {
      end = i - 1;
    } else if (depth == 0 && c == ':') {
      break;
    }
  }
  return i < end ? rf_part_copy(d, text + i, end - i) : fail(d);
}

RF_COLD part rf_part_behind_hole(part t) {
  t.at = (unsigned short)(t.at + t.hole);
  t.size = (unsigned short)(t.size - t.hole);
  t.hole = 0;
  return t;
}

RF_COLD part rf_part_declare(rf_demangle *d, part t, const char *what) {
  if (t.hole == 0) {
    return rf_part_with(d, t, what);
  }
  bool const open = t.hole < t.size && d->text[t.at + t.hole] == ')';
  part out = rf_part_copy(d, d->text + t.at, t.hole);
  out = rf_part_with(d, rf_part_with(d, out, open ? "" : "("), what);
  unsigned short const hole = out.size;
  out = rf_part_joined(d,
                       open ? out : rf_part_with(d, out, t.size > t.hole && d->text[t.at + t.hole] == '[' ? ") " : ")"),
                       rf_part_behind_hole(t));
  out.hole = hole;
  return out;
}

RF_COLD part rf_part_reference(rf_demangle *d, part t, const char *what) {
  unsigned const end = t.hole != 0 ? t.hole : t.size;
  bool const to_left = end > 1 && d->text[t.at + end - 1] == '&' && d->text[t.at + end - 2] != '&';
  bool const to_right = end > 1 && d->text[t.at + end - 1] == '&' && d->text[t.at + end - 2] == '&';
  if (to_left || (to_right && what[1] == '&')) {
    return t;
  }
  if (to_right) {
    t.size--;
    return t.hole == 0 ? t : fail(d);
  }
  return rf_part_declare(d, t, what);
}

RF_COLD part rf_part_of_member(rf_demangle *d, part of, part t) {
  if (t.hole == 0) {
    return rf_part_with(d, rf_part_joined(d, rf_part_with(d, t, " "), of), "::*");
  }
  part out = rf_part_joined(d, rf_part_with(d, rf_part_copy(d, d->text + t.at, t.hole), "("), of);
  out = rf_part_with(d, out, "::*");
  unsigned short const hole = out.size;
  out = rf_part_joined(d, rf_part_with(d, out, ")"), rf_part_behind_hole(t));
  out.hole = hole;
  return out;
}

RF_COLD part rf_part_of_array(rf_demangle *d, part of, const char *digits, size_t size) {
  part out = rf_part_with(d, of, " ");
  unsigned short const hole = out.size;
  out = rf_part_with(d, rf_part_joined(d, rf_part_with(d, out, "["), rf_part_copy(d, digits, size)), "]");
  out.hole = hole;
  return out;
}

RF_COLD part rf_demangle_remember(rf_demangle *d, part p) {
  if (d->part_count == RF_DEMANGLE_PARTS) {
    return fail(d);
  }
  d->parts[d->part_count++] = p;
  return p;
}
