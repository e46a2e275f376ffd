#include "demangle.h"

#include "lib/core/compiler.h"

#include <string.h>

#define DEPTH 28U

typedef rf_demangle_part part;

static const part NOTHING;

/* ---- Texts: each is written once, at the end of the memory, and never moved ---- */

static part fail(rf_demangle *d) {
  d->failed = true;
  return NOTHING;
}

static bool append(rf_demangle *d, const char *from, size_t size) {
  if (size > RF_DEMANGLE_TEXT - 1 - d->used) {
    d->failed = true;
    return false;
  }
  memmove(d->text + d->used, from, size);
  d->used += (unsigned)size;
  return true;
}

static part copy(rf_demangle *d, const char *from, size_t size) {
  part const out = {(unsigned short)d->used, (unsigned short)size, 0, false, false};
  return append(d, from, size) ? out : NOTHING;
}

static part literal(rf_demangle *d, const char *from) {
  return copy(d, from, strlen(from));
}

static part with(rf_demangle *d, part a, const char *b) {
  part const out = a.at + a.size == d->used ? a : copy(d, d->text + a.at, a.size);
  size_t const size = strlen(b);
  return append(d, b, size) ? (part){out.at, (unsigned short)(out.size + size), a.hole, a.pack, a.argument} : NOTHING;
}

static part joined(rf_demangle *d, part a, part b) {
  part const out = a.at + a.size == d->used ? a : copy(d, d->text + a.at, a.size);
  unsigned short const size = (unsigned short)(out.size + b.size);
  return append(d, d->text + b.at, b.size) ? (part){out.at, size, a.hole, a.pack || b.pack, a.argument || b.argument}
                                           : NOTHING;
}

static char last_of(const rf_demangle *d, part a) {
  return (char)(a.size != 0 ? d->text[a.at + a.size - 1] : '\0');
}

/* ---- Input ---- */

static bool accept(rf_demangle *d, const char *what) {
  size_t const size = strlen(what);
  if (strncmp(d->in, what, size) != 0) {
    return false;
  }
  d->in += size;
  return true;
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static unsigned number(rf_demangle *d) {
  unsigned n = 0;
  d->failed = d->failed || !is_digit(*d->in);
  for (; is_digit(*d->in); d->in++) {
    n = n < 100000 ? n * 10 + (unsigned)(*d->in - '0') : n;
  }
  return n;
}

/* "_" is 0, "0_" is 1; letters count behind digits. */
static unsigned sequence(rf_demangle *d, unsigned base) {
  unsigned n = 0;
  if (accept(d, "_")) {
    return 0;
  }
  for (; *d->in != '_'; d->in++) {
    unsigned const digit = is_digit(*d->in)                               ? (unsigned)(*d->in - '0')
                           : base == 36 && *d->in >= 'A' && *d->in <= 'Z' ? (unsigned)(*d->in - 'A') + 10
                                                                          : base;
    if (digit >= base || n > 1000) {
      d->failed = true;
      return 0;
    }
    n = n * base + digit;
  }
  d->in++;
  return n + 1;
}

/* ---- Parts that may be named again ---- */

static part remember(rf_demangle *d, part p) {
  if (d->part_count == RF_DEMANGLE_PARTS) {
    return fail(d);
  }
  d->parts[d->part_count++] = p;
  return p;
}

static part type(rf_demangle *d);
static part name(rf_demangle *d);
static part encoding(rf_demangle *d, bool with_return);

/* ---- Template parameters and arguments ---- */

static part parameter(rf_demangle *d) {
  unsigned const n = sequence(d, 10);
  if (n == d->pack_first && n < RF_DEMANGLE_ARGUMENTS) {
    part p = d->pack_size != 0 ? d->arguments[n + d->pack_index] : NOTHING;
    p.pack = true;
    p.argument = true;
    return p;
  }
  if (n >= d->argument_count || n >= d->pack_first) {
    return fail(d);
  }
  part out = d->arguments[n];
  out.argument = true;
  return out;
}

/* L, type, value, E. */
static part value(rf_demangle *d) {
  static const char *const suffixes[] = {"j", "u", "l", "l", "m", "ul", "x", "ll", "y", "ull"};
  char const kind = *d->in;
  if (kind == 'b' && d->in[1] != '\0' && d->in[2] == 'E') {
    bool const is_true = d->in[1] == '1';
    d->in += 3;
    return literal(d, is_true ? "true" : "false");
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
    out = with(d, joined(d, literal(d, "("), type(d)), ")");
  } else {
    d->in++;
  }
  out = accept(d, "n") ? with(d, out, "-") : out;
  const char *const digits = d->in;
  (void)number(d);
  out = joined(d, out, copy(d, digits, (size_t)(d->in - digits)));
  out = suffix != NULL ? with(d, out, suffix) : out;
  return accept(d, "E") ? out : fail(d);
}

static part argument(rf_demangle *d) {
  if (accept(d, "L")) {
    return value(d);
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
  while (!d->failed && !accept(d, "E")) {
    add_argument(d, l);
  }
  d->failed = d->failed || *d->in != 'E';
  l->pack_first = first;
  l->pack_size = l->count - first;
}

/* I was accepted; to E. */
static part template_arguments(rf_demangle *d) {
  list l = {NOTHING, {NOTHING}, 0, RF_DEMANGLE_ARGUMENTS, 0};
  bool const names = !d->in_type;
  if (++d->depth > DEPTH) {
    return fail(d);
  }
  d->in_type = true;
  while (!d->failed && !accept(d, "E")) {
    if (accept(d, "J")) {
      add_pack(d, &l);
    } else {
      add_argument(d, &l);
    }
  }
  part out = literal(d, "<");
  for (unsigned i = 0; i < l.count; i++) {
    out = joined(d, i == 0 ? out : with(d, out, ", "), l.items[i]);
  }
  if (names) {
    d->in_type = false;
    memcpy(d->arguments, l.items, sizeof l.items);
    d->argument_count = l.count;
    d->pack_first = l.pack_first;
    d->pack_size = l.pack_size;
  }
  d->depth--;
  return with(d, out, last_of(d, out) == '>' ? " >" : ">");
}

/* ---- Substitutions; S was accepted ---- */

static part substitution(rf_demangle *d) {
  static const char *const abbreviations[] = {
      "a", "allocator",    NULL,
      "b", "basic_string", NULL,
      "s", "string",       "basic_string<char, std::char_traits<char>, std::allocator<char> >",
      "i", "istream",      "basic_istream<char, std::char_traits<char> >",
      "o", "ostream",      "basic_ostream<char, std::char_traits<char> >",
      "d", "iostream",     "basic_iostream<char, std::char_traits<char> >"};
  for (unsigned i = 0; i < sizeof abbreviations / sizeof abbreviations[0]; i += 3) {
    if (accept(d, abbreviations[i])) {
      bool const whole = abbreviations[i + 2] != NULL && (*d->in == 'C' || *d->in == 'D') && is_digit(d->in[1]);
      return with(d, literal(d, "std::"), abbreviations[whole ? i + 2 : i + 1]);
    }
  }
  unsigned const n = sequence(d, 36);
  return !d->failed && n < d->part_count && !d->parts[n].pack ? d->parts[n] : fail(d);
}

/* ---- Unqualified names ---- */

static const char *const operators[] = {
    "nw", " new", "na", " new[]", "dl", " delete", "da", " delete[]", "ps", "+",  "ng", "-",  "ad", "&",
    "de", "*",    "co", "~",      "pl", "+",       "mi", "-",         "ml", "*",  "dv", "/",  "rm", "%",
    "an", "&",    "or", "|",      "eo", "^",       "aS", "=",         "pL", "+=", "mI", "-=", "mL", "*=",
    "dV", "/=",   "rM", "%=",     "aN", "&=",      "oR", "|=",        "eO", "^=", "ls", "<<", "rs", ">>",
    "lS", "<<=",  "rS", ">>=",    "eq", "==",      "ne", "!=",        "lt", "<",  "gt", ">",  "le", "<=",
    "ge", ">=",   "ss", "<=>",    "nt", "!",       "aa", "&&",        "oo", "||", "pp", "++", "mm", "--",
    "cm", ",",    "pm", "->*",    "pt", "->",      "cl", "()",        "ix", "[]", "qu", "?",  "aw", " co_await"};

static part source_name(rf_demangle *d) {
  static const char anonymous[] = "_GLOBAL__N_";
  unsigned const size = number(d);
  const char *const at = d->in;
  if (d->failed || size == 0 || memchr(at, '\0', size) != NULL) {
    return fail(d);
  }
  d->in += size;
  return size >= sizeof anonymous - 1 && strncmp(at, anonymous, sizeof anonymous - 1) == 0
             ? literal(d, "(anonymous namespace)")
             : copy(d, at, size);
}

static part operator_name(rf_demangle *d) {
  if (accept(d, "cv")) {
    bool const was = d->in_type;
    d->in_type = true;
    part const to = type(d);
    d->in_type = was;
    d->has_return = false;
    if (to.argument && *d->in == 'I') { /* of the arguments that follow, not of those that are known */
      return fail(d);
    }
    return joined(d, literal(d, "operator "), to);
  }
  if (accept(d, "li")) {
    return joined(d, literal(d, "operator\"\" "), source_name(d));
  }
  for (unsigned i = 0; i < sizeof operators / sizeof operators[0]; i += 2) {
    if (accept(d, operators[i])) {
      return with(d, literal(d, "operator"), operators[i + 1]);
    }
  }
  return fail(d);
}

/* Types up to `end`; one void is none. */
static part parameters(rf_demangle *d, const char *end) {
  part out = literal(d, "(");
  if (*d->in == 'v' && strchr(end, d->in[1]) != NULL) {
    d->in++;
    return with(d, out, ")");
  }
  for (unsigned i = 0; !d->failed && strchr(end, *d->in) == NULL; i++) {
    part const t = type(d);
    out = joined(d, i == 0 || last_of(d, out) == '(' || t.size == 0 ? out : with(d, out, ", "), t);
  }
  return with(d, out, ")");
}

/* Ul, types, E, number: a lambda; Ut, number: a type without a name. */
static part unnamed(rf_demangle *d) {
  char digits[12] = "";
  size_t at = sizeof digits - 1;
  part out = literal(d, "{unnamed type#");
  if (accept(d, "Ul")) {
    bool const was = d->in_type;
    d->in_type = true;
    out = joined(d, literal(d, "{lambda"), parameters(d, "E"));
    d->in_type = was;
    d->failed = d->failed || out.argument || !accept(d, "E"); /* T_ is the lambda's own there: auto */
    out = with(d, out, "#");
  } else if (!accept(d, "Ut")) {
    return fail(d);
  }
  unsigned n = sequence(d, 10) + 1;
  for (; n != 0; n /= 10) {
    digits[--at] = (char)('0' + n % 10);
  }
  return with(d, with(d, out, digits + at), "}");
}

/* The last component of a name, without its template arguments and tags. */
static part base_of(rf_demangle *d, part scope) {
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
  return i < end ? copy(d, text + i, end - i) : fail(d);
}

static part unqualified(rf_demangle *d, part scope) {
  part out;
  d->is_template = false;
  d->has_return = true;
  (void)accept(d, "L");
  if (is_digit(*d->in)) {
    out = source_name(d);
  } else if ((*d->in == 'C' || *d->in == 'D') && is_digit(d->in[1])) {
    bool const ends = *d->in == 'D';
    d->in += 2;
    part const base = base_of(d, scope);
    out = ends ? joined(d, literal(d, "~"), base) : base;
    d->has_return = false;
  } else {
    out = *d->in == 'U' ? unnamed(d) : operator_name(d);
  }
  while (accept(d, "B")) {
    out = with(d, joined(d, with(d, out, "[abi:"), source_name(d)), "]");
  }
  return out;
}

static part scoped(rf_demangle *d, part scope, part inner) {
  return scope.size == 0 ? inner : joined(d, with(d, scope, "::"), inner);
}

/* ---- Names ---- */

static const char *qualifiers(rf_demangle *d) {
  static const char *const all[] = {"",    " const",    " volatile",    " const volatile",
                                    " &",  " const &",  " volatile &",  " const volatile &",
                                    " &&", " const &&", " volatile &&", " const volatile &&"};
  (void)accept(d, "r"); /* restrict, which C++ does not have */
  unsigned q = accept(d, "V") ? 2 : 0;
  q += accept(d, "K") ? 1 : 0;
  q += accept(d, "R") ? 4 : accept(d, "O") ? 8 : 0;
  return all[q];
}

/* I was accepted. */
static part instantiated(rf_demangle *d, part of) {
  bool const is_less = last_of(d, of) == '<';
  part const arguments = template_arguments(d);
  d->is_template = true;
  return joined(d, is_less ? with(d, of, " ") : of, arguments);
}

/* N was accepted; to E. The name itself is no part yet. */
static part nested(rf_demangle *d) {
  part scope = NOTHING;
  bool last_is_new = false;
  const char *const after = qualifiers(d);
  while (!d->failed && !accept(d, "E")) {
    last_is_new = true;
    if (accept(d, "St")) {
      scope = literal(d, "std");
      last_is_new = false;
      continue;
    }
    if (accept(d, "S")) {
      scope = substitution(d);
      last_is_new = false;
      d->is_template = false;
      continue;
    }
    if (accept(d, "M")) { /* the name before is a variable's, in whose initializer the next one stands */
      continue;
    }
    if (accept(d, "T")) {
      scope = parameter(d);
    } else if (accept(d, "I")) {
      scope = instantiated(d, scope);
    } else {
      scope = scoped(d, scope, unqualified(d, scope));
    }
    (void)remember(d, scope);
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
  part function = encoding(d, false);
  function.argument = false;
  d->in_type = was;
  for (unsigned i = first; was && i < d->part_count; i++) { /* T_ is another one from here on */
    d->parts[i].pack = d->parts[i].pack || d->parts[i].argument;
  }
  if (was) {
    memcpy(d->arguments, saved, sizeof saved);
    d->argument_count = counts[0];
    d->pack_first = counts[1];
    d->pack_size = counts[2];
  }
  if (!accept(d, "E") || *d->in == 's' || *d->in == 'd') {
    return fail(d);
  }
  part const inner = name(d);
  if (accept(d, "__")) {
    (void)number(d);
    d->failed = d->failed || !accept(d, "_");
  } else if (accept(d, "_")) {
    (void)number(d);
  }
  return scoped(d, function, inner);
}

RF_COLD static part name(rf_demangle *d) {
  part out = NOTHING;
  if (++d->depth > DEPTH) {
    return fail(d);
  }
  d->after = "";
  if (accept(d, "N")) {
    out = nested(d);
  } else if (accept(d, "Z")) {
    out = local(d);
  } else {
    bool known = false;
    if (accept(d, "St")) {
      out = scoped(d, literal(d, "std"), unqualified(d, NOTHING));
    } else if (accept(d, "S")) {
      out = substitution(d);
      known = true;
    } else {
      out = unqualified(d, NOTHING);
    }
    if (accept(d, "I")) {
      (void)(known ? out : remember(d, out));
      out = instantiated(d, out);
    } else if (known) {
      return fail(d);
    }
  }
  d->depth--;
  return out;
}

/* ---- Types ---- */

/* The text to the right of where the name of a pointer to it would stand. */
static part behind_hole(part t) {
  t.at = (unsigned short)(t.at + t.hole);
  t.size = (unsigned short)(t.size - t.hole);
  t.hole = 0;
  return t;
}

/* `t` with `what` behind it, or, for arrays and functions, where the name would stand. */
static part declare(rf_demangle *d, part t, const char *what) {
  if (t.hole == 0) {
    return with(d, t, what);
  }
  bool const open = t.hole < t.size && d->text[t.at + t.hole] == ')';
  part out = copy(d, d->text + t.at, t.hole);
  out = with(d, with(d, out, open ? "" : "("), what);
  unsigned short const hole = out.size;
  out = joined(d, open ? out : with(d, out, t.size > t.hole && d->text[t.at + t.hole] == '[' ? ") " : ")"),
               behind_hole(t));
  out.hole = hole;
  return out;
}

/* A reference to a reference is the first, unless both are to what goes. */
static part reference(rf_demangle *d, part t, const char *what) {
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
  return declare(d, t, what);
}

static part function_type(rf_demangle *d) {
  (void)accept(d, "Y");
  part out = type(d);
  if (out.hole != 0) {
    return fail(d);
  }
  out = with(d, out, " ");
  unsigned short const hole = out.size;
  out = joined(d, out, parameters(d, "E"));
  out.hole = hole;
  return accept(d, "E") ? out : fail(d);
}

static part array_type(rf_demangle *d) {
  const char *const digits = d->in;
  (void)number(d);
  size_t const size = (size_t)(d->in - digits);
  if (d->failed || !accept(d, "_")) {
    return fail(d);
  }
  part out = type(d);
  if (out.hole != 0) {
    return fail(d);
  }
  out = with(d, out, " ");
  unsigned short const hole = out.size;
  out = with(d, joined(d, with(d, out, "["), copy(d, digits, size)), "]");
  out.hole = hole;
  return out;
}

static part member_type(rf_demangle *d) {
  part const of = type(d);
  if (*d->in == 'K' || *d->in == 'V') {
    return fail(d);
  }
  part const t = type(d);
  if (t.hole == 0) {
    return with(d, joined(d, with(d, t, " "), of), "::*");
  }
  part out = joined(d, with(d, copy(d, d->text + t.at, t.hole), "("), of);
  out = with(d, out, "::*");
  unsigned short const hole = out.size;
  out = joined(d, with(d, out, ")"), behind_hole(t));
  out.hole = hole;
  return out;
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
    out = i == 0 ? one : joined(d, with(d, out, ", "), one);
  }
  d->pack_index = 0;
  return d->pack_size == 0 ? NOTHING : out;
}

static const char *builtin(char c) {
  static const char *const names[] = {"signed char",
                                      "bool",
                                      "char",
                                      "double",
                                      "long double",
                                      "float",
                                      "__float128",
                                      "unsigned char",
                                      "int",
                                      "unsigned int",
                                      NULL,
                                      "long",
                                      "unsigned long",
                                      "__int128",
                                      "unsigned __int128",
                                      NULL,
                                      NULL,
                                      NULL,
                                      "short",
                                      "unsigned short",
                                      NULL,
                                      "void",
                                      "wchar_t",
                                      "long long",
                                      "unsigned long long",
                                      "..."};
  return c >= 'a' && c <= 'z' ? names[c - 'a'] : NULL;
}

static part special_type(rf_demangle *d) {
  static const char *const all[] = {"Dn", "decltype(nullptr)", "Di", "char32_t", "Ds", "char16_t",
                                    "Du", "char8_t",           "Da", "auto"};
  for (unsigned i = 0; i < sizeof all / sizeof all[0]; i += 2) {
    if (accept(d, all[i])) {
      return literal(d, all[i + 1]);
    }
  }
  return accept(d, "Dp") ? expansion(d) : fail(d);
}

/* Types that are named by more than a letter, each a part. */
static part compound(rf_demangle *d) {
  if (accept(d, "P")) {
    return declare(d, type(d), "*");
  }
  if (accept(d, "R")) {
    return reference(d, type(d), "&");
  }
  if (accept(d, "O")) {
    return reference(d, type(d), "&&");
  }
  if (accept(d, "F")) {
    return function_type(d);
  }
  if (accept(d, "A")) {
    return array_type(d);
  }
  if (accept(d, "M")) {
    return member_type(d);
  }
  if (accept(d, "T")) {
    part const out = parameter(d);
    return *d->in == 'I' ? fail(d) : out;
  }
  if (*d->in == 'K' || *d->in == 'V' || *d->in == 'r') {
    const char *const q = qualifiers(d);
    part const t = type(d);
    size_t const size = strlen(q);
    if (t.hole == 0 && t.size >= size && memcmp(d->text + t.at + t.size - size, q, size) == 0) {
      return t; /* T_ is const already */
    }
    return t.hole != 0 && d->text[t.at + t.hole - 1] == ' ' ? fail(d) : declare(d, t, q);
  }
  const char *const after = d->after;
  part const out = name(d);
  d->after = after;
  return out;
}

static part substituted_type(rf_demangle *d) {
  part out = substitution(d);
  if (accept(d, "I")) {
    out = remember(d, joined(d, out, template_arguments(d)));
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
  if (builtin(*d->in) != NULL && *d->in != 'r') {
    out = literal(d, builtin(*d->in++));
  } else if (*d->in == 'D') {
    out = special_type(d);
  } else if (*d->in == 'S' && d->in[1] != 't') {
    d->in++;
    out = substituted_type(d);
  } else {
    out = remember(d, compound(d));
  }
  d->in_type = was;
  d->is_template = was_template;
  d->has_return = had_return;
  d->depth--;
  return out;
}

/* ---- Whole names ---- */

static part encoding(rf_demangle *d, bool with_return) {
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
    before = with_return ? with(d, before, " ") : NOTHING;
  }
  part const taken = parameters(d, end);
  return with(d, joined(d, joined(d, before, of), taken), after);
}

static part special(rf_demangle *d) {
  part kind = NOTHING;
  if (accept(d, "Th")) {
    kind = literal(d, "non-virtual thunk to ");
  } else if (accept(d, "Tv")) {
    kind = literal(d, "virtual thunk to ");
  } else {
    return encoding(d, true);
  }
  unsigned const offsets = d->in[-1] == 'h' ? 1 : 2;
  for (unsigned i = 0; i < offsets; i++) {
    (void)accept(d, "n");
    (void)number(d);
    d->failed = d->failed || !accept(d, "_");
  }
  part const of = encoding(d, true);
  return joined(d, kind, of);
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
    out = with(d, joined(d, with(d, out, " [clone "), literal(d, d->in)), "]");
    d->in += strlen(d->in);
  }
  if (d->failed || *d->in != '\0' || !append(d, "", 0)) {
    return NULL;
  }
  out = out.at + out.size == d->used ? out : copy(d, d->text + out.at, out.size);
  if (d->failed || out.size == 0) {
    return NULL;
  }
  d->text[out.at + out.size] = '\0';
  return d->text + out.at;
}
