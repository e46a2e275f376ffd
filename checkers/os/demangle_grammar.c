/* Demangling: the grammar of names, types and template arguments, which contain each other. */
#include "demangle_impl.h"

#include <string.h>

#define DEPTH 28U

static part type(rf_demangle *d);
static part name(rf_demangle *d);

/* ---- Template arguments ---- */

/* L, type, value, E. */
static part value(rf_demangle *d) {
  static const char *const suffixes[] = {"j", "u", "l", "l", "m", "ul", "x", "ll", "y", "ull"};
  char const kind = *d->in;
  if (kind == 'b' && d->in[1] != '\0' && d->in[2] == 'E') {
    bool const is_true = d->in[1] == '1';
    d->in += 3;
    return rf_part_literal(d, is_true ? "true" : "false");
  }
  part out = NOTHING;
  const char *suffix = NULL;
  for (unsigned i = 0; i < sizeof suffixes / sizeof suffixes[0]; i += 2) {
    suffix = kind == suffixes[i][0] ? suffixes[i + 1] : suffix;
  }
  if (kind == '_') {
    return fail(d);
  }
  if (suffix == NULL && kind != 'i') {
    out = rf_part_with(d, rf_part_joined(d, rf_part_literal(d, "("), type(d)), ")");
  } else {
    d->in++;
  }
  out = rf_demangle_accept(d, "n") ? rf_part_with(d, out, "-") : out;
  const char *const digits = d->in;
  (void)rf_demangle_number(d);
  out = rf_part_joined(d, out, rf_part_copy(d, digits, (size_t)(d->in - digits)));
  out = suffix != NULL ? rf_part_with(d, out, suffix) : out;
  return rf_demangle_accept(d, "E") ? out : fail(d);
}

/* XT or XspT was accepted; to E: the value of a parameter, or all of a pack. */
static part values(rf_demangle *d, bool of_pack) {
  const char *const which = d->in;
  unsigned const was = d->pack_index;
  d->pack_index = 0;
  part out = rf_demangle_parameter(d);
  d->failed = d->failed || out.pack != of_pack;
  for (unsigned i = 1; !d->failed && of_pack && i < d->pack_size; i++) {
    d->in = which;
    d->pack_index = i;
    out = rf_part_joined(d, rf_part_with(d, out, ", "), rf_demangle_parameter(d));
  }
  d->pack_index = was;
  return rf_demangle_accept(d, "E") ? out : fail(d);
}

static part argument(rf_demangle *d) {
  if (rf_demangle_accept(d, "L")) {
    return value(d);
  }
  if (rf_demangle_accept(d, "XT") || rf_demangle_accept(d, "XspT")) {
    return values(d, d->in[-2] == 'p');
  }
  return *d->in == 'X' ? fail(d) : type(d);
}

typedef struct list {
  part text;
  part items[RF_DEMANGLE_ARGUMENTS];
  unsigned count;
  unsigned pack_first;
  unsigned pack_size;
} list;

static void add_argument(rf_demangle *d, list *l) {
  part const p = argument(d);
  if (l->count == RF_DEMANGLE_ARGUMENTS || (l->pack_size != 0 && l->pack_first == RF_DEMANGLE_ARGUMENTS)) {
    d->failed = true;
    return;
  }
  l->items[l->count++] = p;
}

/* J, arguments, E: a pack, which must be the last one. */
static void add_pack(rf_demangle *d, list *l) {
  unsigned const first = l->count;
  while (!d->failed && !rf_demangle_accept(d, "E")) {
    add_argument(d, l);
  }
  d->failed = d->failed || *d->in != 'E';
  l->pack_first = first;
  l->pack_size = l->count - first;
}

/* One more of a list that begins with a bracket. An empty pack adds nothing. */
static part listed(rf_demangle *d, part before, part item) {
  bool const is_alone = before.size == 1 || item.size == 0;
  return rf_part_joined(d, is_alone ? before : rf_part_with(d, before, ", "), item);
}

/* I was accepted; to E. */
static part template_arguments(rf_demangle *d) {
  list l = {NOTHING, {NOTHING}, 0, RF_DEMANGLE_ARGUMENTS, 0};
  bool const names = !d->in_type;
  if (++d->depth > DEPTH) {
    return fail(d);
  }
  d->in_type = true;
  while (!d->failed && !rf_demangle_accept(d, "E")) {
    if (rf_demangle_accept(d, "J")) {
      add_pack(d, &l);
    } else {
      add_argument(d, &l);
    }
  }
  part out = rf_part_literal(d, "<");
  for (unsigned i = 0; i < l.count; i++) {
    out = listed(d, out, l.items[i]);
  }
  if (names) {
    d->in_type = false;
    memcpy(d->arguments, l.items, sizeof l.items);
    d->argument_count = l.count;
    d->pack_first = l.pack_first;
    d->pack_size = l.pack_size;
  }
  d->depth--;
  return rf_part_with(d, out, last_of(d, out) == '>' ? " >" : ">");
}

/* ---- Unqualified names ---- */

static part operator_name(rf_demangle *d) {
  if (rf_demangle_accept(d, "cv")) {
    bool const was = d->in_type;
    d->in_type = true;
    part const to = type(d);
    d->in_type = was;
    d->has_return = false;
    if (to.argument && *d->in == 'I') { /* of the arguments that follow, not of those that are known */
      return fail(d);
    }
    return rf_part_joined(d, rf_part_literal(d, "operator "), to);
  }
  if (rf_demangle_accept(d, "li")) {
    return rf_part_joined(d, rf_part_literal(d, "operator\"\" "), rf_demangle_source_name(d));
  }
  return rf_demangle_operator(d);
}

/* Types up to `end`; one void is none. */
static part parameters(rf_demangle *d, const char *end) {
  part out = rf_part_literal(d, "(");
  if (*d->in == 'v' && strchr(end, d->in[1]) != NULL) {
    d->in++;
    return rf_part_with(d, out, ")");
  }
  while (!d->failed && strchr(end, *d->in) == NULL) {
    part const t = type(d);
    out = listed(d, out, t);
  }
  return rf_part_with(d, out, ")");
}

/* Ul, types, E, number: a lambda; Ut, number: a type without a name. */
static part unnamed(rf_demangle *d) {
  char digits[12] = "";
  size_t at = sizeof digits - 1;
  part out = rf_part_literal(d, "{unnamed type#");
  if (rf_demangle_accept(d, "Ul")) {
    bool const was = d->in_type;
    d->in_type = true;
    out = rf_part_joined(d, rf_part_literal(d, "{lambda"), parameters(d, "E"));
    d->in_type = was;
    d->failed = d->failed || out.argument || !rf_demangle_accept(d, "E"); /* T_ is the lambda's own there: auto */
    out = rf_part_with(d, out, "#");
  } else if (!rf_demangle_accept(d, "Ut")) {
    return fail(d);
  }
  unsigned n = rf_demangle_sequence(d, 10) + 1;
  for (; n != 0; n /= 10) {
    digits[--at] = (char)('0' + n % 10);
  }
  return rf_part_with(d, rf_part_with(d, out, digits + at), "}");
}

static part unqualified(rf_demangle *d, part scope) {
  part out;
  d->is_template = false;
  d->has_return = true;
  (void)rf_demangle_accept(d, "L");
  if (is_digit(*d->in)) {
    out = rf_demangle_source_name(d);
  } else if ((*d->in == 'C' || *d->in == 'D') && is_digit(d->in[1])) {
    bool const ends = *d->in == 'D';
    d->in += 2;
    part const base = rf_part_base_of(d, scope);
    out = ends ? rf_part_joined(d, rf_part_literal(d, "~"), base) : base;
    d->has_return = false;
  } else {
    out = *d->in == 'U' ? unnamed(d) : operator_name(d);
  }
  while (rf_demangle_accept(d, "B")) {
    out = rf_part_with(d, rf_part_joined(d, rf_part_with(d, out, "[abi:"), rf_demangle_source_name(d)), "]");
  }
  return out;
}

/* ---- Names ---- */

/* I was accepted. */
static part instantiated(rf_demangle *d, part of) {
  bool const is_less = last_of(d, of) == '<';
  part const arguments = template_arguments(d);
  d->is_template = true;
  return rf_part_joined(d, is_less ? rf_part_with(d, of, " ") : of, arguments);
}

/* N was accepted; to E. The name itself is no part yet. */
static part nested(rf_demangle *d) {
  part scope = NOTHING;
  bool last_is_new = false;
  const char *const after = rf_demangle_qualifiers(d);
  while (!d->failed && !rf_demangle_accept(d, "E")) {
    last_is_new = true;
    if (rf_demangle_accept(d, "St")) {
      scope = rf_part_literal(d, "std");
      last_is_new = false;
      continue;
    }
    if (rf_demangle_accept(d, "S")) {
      scope = rf_demangle_substitution(d);
      last_is_new = false;
      d->is_template = false;
      continue;
    }
    if (rf_demangle_accept(d, "M")) { /* the name before is a variable's, in whose initializer the next one stands */
      continue;
    }
    if (rf_demangle_accept(d, "T")) {
      scope = rf_demangle_parameter(d);
    } else if (rf_demangle_accept(d, "I")) {
      scope = instantiated(d, scope);
    } else {
      scope = rf_part_scoped(d, scope, unqualified(d, scope));
    }
    (void)rf_demangle_remember(d, scope);
  }
  d->part_count -= last_is_new && d->part_count != 0 ? 1 : 0;
  d->after = after;
  return scope;
}

/* Z was accepted: what is declared within a function. */
static part local(rf_demangle *d) {
  rf_demangle_part saved[RF_DEMANGLE_ARGUMENTS];
  unsigned const counts[] = {d->argument_count, d->pack_first, d->pack_size};
  bool const was = d->in_type;
  memcpy(saved, d->arguments, sizeof saved);
  d->in_type = false;
  unsigned const first = d->part_count;
  part function = rf_demangle_encoding(d, false);
  function.argument = false;
  d->in_type = was;
  for (unsigned i = first; i < d->part_count; i++) { /* T_ is another one from here on, or may be */
    d->parts[i].pack = d->parts[i].pack || (was && d->parts[i].argument);
    d->parts[i].argument = d->parts[i].argument && !d->parts[i].pack;
  }
  if (was) {
    memcpy(d->arguments, saved, sizeof saved);
    d->argument_count = counts[0];
    d->pack_first = counts[1];
    d->pack_size = counts[2];
  }
  if (!rf_demangle_accept(d, "E") || *d->in == 's' || *d->in == 'd') {
    return fail(d);
  }
  part const inner = name(d);
  if (rf_demangle_accept(d, "__")) {
    (void)rf_demangle_number(d);
    d->failed = d->failed || !rf_demangle_accept(d, "_");
  } else if (rf_demangle_accept(d, "_")) {
    (void)rf_demangle_number(d);
  }
  return rf_part_scoped(d, function, inner);
}

RF_COLD static part name(rf_demangle *d) {
  part out = NOTHING;
  if (++d->depth > DEPTH) {
    return fail(d);
  }
  d->after = "";
  if (rf_demangle_accept(d, "N")) {
    out = nested(d);
  } else if (rf_demangle_accept(d, "Z")) {
    out = local(d);
  } else {
    bool known = false;
    if (rf_demangle_accept(d, "St")) {
      out = rf_part_scoped(d, rf_part_literal(d, "std"), unqualified(d, NOTHING));
    } else if (rf_demangle_accept(d, "S")) {
      out = rf_demangle_substitution(d);
      known = true;
    } else {
      out = unqualified(d, NOTHING);
    }
    if (rf_demangle_accept(d, "I")) {
      (void)(known ? out : rf_demangle_remember(d, out));
      out = instantiated(d, out);
    } else if (known) {
      return fail(d);
    }
  }
  d->depth--;
  return out;
}

/* ---- Types ---- */

static part function_type(rf_demangle *d) {
  (void)rf_demangle_accept(d, "Y");
  part out = type(d);
  if (out.hole != 0) {
    return fail(d);
  }
  out = rf_part_with(d, out, " ");
  unsigned short const hole = out.size;
  out = rf_part_joined(d, out, parameters(d, "E"));
  out.hole = hole;
  return rf_demangle_accept(d, "E") ? out : fail(d);
}

static part array_type(rf_demangle *d) {
  const char *const digits = d->in;
  if (*d->in != '_') { /* else of any size, as in unique_ptr<int []> */
    (void)rf_demangle_number(d);
  }
  size_t const size = (size_t)(d->in - digits);
  if (d->failed || !rf_demangle_accept(d, "_")) {
    return fail(d);
  }
  part const of = type(d);
  return of.hole != 0 ? fail(d) : rf_part_of_array(d, of, digits, size);
}

static part member_type(rf_demangle *d) {
  part const of = type(d);
  if (*d->in == 'K' || *d->in == 'V') {
    return fail(d);
  }
  part const t = type(d);
  return rf_part_of_member(d, of, t);
}

/* Dp was accepted: the type for each argument of the pack. */
static part expansion(rf_demangle *d) {
  const char *const pattern = d->in;
  unsigned const parts = d->part_count;
  part out = NOTHING;
  unsigned const count = d->pack_size == 0 ? 1 : d->pack_size;
  for (unsigned i = 0; !d->failed && i < count; i++) {
    d->in = pattern;
    d->part_count = parts;
    d->pack_index = i;
    part const one = type(d);
    d->failed = d->failed || !one.pack;
    out = i == 0 ? one : rf_part_joined(d, rf_part_with(d, out, ", "), one);
  }
  d->pack_index = 0;
  out = d->pack_size == 0 ? NOTHING : out;
  part whole = out;
  whole.pack = true;
  whole.argument = false;
  (void)rf_demangle_remember(d, whole); /* its number is taken, though nothing here is named by it */
  return out;
}

static part special_type(rf_demangle *d) {
  static const char *const all[] = {"Dn", "decltype(nullptr)", "Di", "char32_t", "Ds", "char16_t",
                                    "Du", "char8_t",           "Da", "auto"};
  for (unsigned i = 0; i < sizeof all / sizeof all[0]; i += 2) {
    if (rf_demangle_accept(d, all[i])) {
      return rf_part_literal(d, all[i + 1]);
    }
  }
  return rf_demangle_accept(d, "Dp") ? expansion(d) : fail(d);
}

/* An array is const where its elements are. */
static part qualified_array(rf_demangle *d, part array, const char *q) {
  part const of = rf_part_copy(d, d->text + array.at, array.hole - 1U);
  size_t const size = strlen(q);
  bool const has = of.size >= size && memcmp(d->text + of.at + of.size - size, q, size) == 0;
  part out = rf_part_with(d, rf_part_with(d, of, has ? "" : q), " ");
  unsigned short const hole = out.size;
  out = rf_part_joined(d, out, rf_part_behind_hole(array));
  out.hole = hole;
  return out;
}

/* Types that are named by more than a letter, each a part. */
static part compound(rf_demangle *d) {
  if (rf_demangle_accept(d, "P")) {
    return rf_part_declare(d, type(d), "*");
  }
  if (rf_demangle_accept(d, "R")) {
    return rf_part_reference(d, type(d), "&");
  }
  if (rf_demangle_accept(d, "O")) {
    return rf_part_reference(d, type(d), "&&");
  }
  if (rf_demangle_accept(d, "F")) {
    return function_type(d);
  }
  if (rf_demangle_accept(d, "A")) {
    return array_type(d);
  }
  if (rf_demangle_accept(d, "M")) {
    return member_type(d);
  }
  if (rf_demangle_accept(d, "T")) {
    part const out = rf_demangle_parameter(d);
    return *d->in == 'I' ? fail(d) : out;
  }
  if (*d->in == 'K' || *d->in == 'V' || *d->in == 'r') {
    const char *const q = rf_demangle_qualifiers(d);
    part const t = type(d);
    size_t const size = strlen(q);
    if (t.hole == 0 && t.size >= size && memcmp(d->text + t.at + t.size - size, q, size) == 0) {
      return t; /* T_ is const already */
    }
    if (t.hole != 0 && d->text[t.at + t.hole - 1] == ' ') {
      bool const is_array = d->text[t.at + t.hole] == '[' && strcmp(q, " const volatile") != 0;
      return is_array ? qualified_array(d, t, q) : fail(d);
    }
    return rf_part_declare(d, t, q);
  }
  const char *const after = d->after;
  part const out = name(d);
  d->after = after;
  return out;
}

static part substituted_type(rf_demangle *d) {
  part out = rf_demangle_substitution(d);
  if (rf_demangle_accept(d, "I")) {
    out = rf_demangle_remember(d, rf_part_joined(d, out, template_arguments(d)));
  }
  return out;
}

RF_COLD static part type(rf_demangle *d) {
  bool const was = d->in_type;
  bool const was_template = d->is_template;
  bool const had_return = d->has_return;
  part out;
  if (d->failed || ++d->depth > DEPTH) {
    return fail(d);
  }
  d->in_type = true;
  if (rf_demangle_builtin(*d->in) != NULL && *d->in != 'r') {
    out = rf_part_literal(d, rf_demangle_builtin(*d->in++));
  } else if (*d->in == 'D') {
    out = special_type(d);
  } else if (*d->in == 'S' && d->in[1] != 't') {
    d->in++;
    out = substituted_type(d);
  } else {
    out = rf_demangle_remember(d, compound(d));
  }
  d->in_type = was;
  d->is_template = was_template;
  d->has_return = had_return;
  d->depth--;
  return out;
}

/* ---- Encodings: a name with what its function takes ---- */

RF_COLD part rf_demangle_encoding(rf_demangle *d, bool with_return) {
  static const char end[] = "E.";
  part const of = name(d);
  const char *const after = d->after;
  if (d->failed || strchr(end, *d->in) != NULL) { /* the NUL as well */
    return of;
  }
  part before = NOTHING;
  if (d->is_template && d->has_return) {
    before = type(d);
    if (before.hole != 0) {
      return fail(d);
    }
    before = with_return ? rf_part_with(d, before, " ") : NOTHING;
  }
  part const taken = parameters(d, end);
  return rf_part_with(d, rf_part_joined(d, rf_part_joined(d, before, of), taken), after);
}
