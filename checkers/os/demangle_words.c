/* Demangling: words, numbers and tables of names. */
#include "demangle_impl.h"

#include <string.h>

RF_COLD bool rf_demangle_accept(rf_demangle *d, const char *what) {
  size_t const size = strlen(what);
  if (strncmp(d->in, what, size) != 0) {
    return false;
  }
  d->in += size;
  return true;
}

RF_COLD unsigned rf_demangle_number(rf_demangle *d) {
  unsigned n = 0;
  d->failed = d->failed || !is_digit(*d->in);
  for (; is_digit(*d->in); d->in++) {
    n = n < 100000 ? n * 10 + (unsigned)(*d->in - '0') : n;
  }
  return n;
}

RF_COLD unsigned rf_demangle_sequence(rf_demangle *d, unsigned base) {
  unsigned n = 0;
  if (rf_demangle_accept(d, "_")) {
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

/* A part was made for the last of the pack's arguments; returned is that for the one that Dp is at. A part without
 * `argument` belongs to another template, or is the whole pack: fails. With several arguments only T_ itself is known
 * again, where no reference and no qualifier can have gone into it. */
static part of_pack(rf_demangle *d, part p) {
  if (!p.pack || (p.argument && d->pack_size <= 1)) {
    return p;
  }
  part const last = d->pack_size != 0 ? d->arguments[d->pack_first + d->pack_size - 1] : NOTHING;
  char const end = last_of(d, last);
  bool const is_argument = p.argument && p.at == last.at && p.size == last.size && p.hole == 0 && last.hole == 0;
  if (!is_argument || end == '&' || end == 't' || end == 'e') { /* const, volatile */
    return fail(d);
  }
  part out = d->arguments[d->pack_first + d->pack_index];
  out.pack = true;
  out.argument = true;
  return out;
}

RF_COLD part rf_demangle_substitution(rf_demangle *d) {
  static const char *const abbreviations[] = {
      "a", "allocator",    NULL,
      "b", "basic_string", NULL,
      "s", "string",       "basic_string<char, std::char_traits<char>, std::allocator<char> >",
      "i", "istream",      "basic_istream<char, std::char_traits<char> >",
      "o", "ostream",      "basic_ostream<char, std::char_traits<char> >",
      "d", "iostream",     "basic_iostream<char, std::char_traits<char> >"};
  for (unsigned i = 0; i < sizeof abbreviations / sizeof abbreviations[0]; i += 3) {
    if (rf_demangle_accept(d, abbreviations[i])) {
      bool const whole = abbreviations[i + 2] != NULL && (*d->in == 'C' || *d->in == 'D') && is_digit(d->in[1]);
      return rf_part_with(d, rf_part_literal(d, "std::"), abbreviations[whole ? i + 2 : i + 1]);
    }
  }
  unsigned const n = rf_demangle_sequence(d, 36);
  return !d->failed && n < d->part_count ? of_pack(d, d->parts[n]) : fail(d);
}

RF_COLD part rf_demangle_parameter(rf_demangle *d) {
  unsigned const n = rf_demangle_sequence(d, 10);
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

RF_COLD part rf_demangle_source_name(rf_demangle *d) {
  static const char anonymous[] = "_GLOBAL__N_";
  unsigned const size = rf_demangle_number(d);
  const char *const at = d->in;
  if (d->failed || size == 0 || memchr(at, '\0', size) != NULL) {
    return fail(d);
  }
  d->in += size;
  return size >= sizeof anonymous - 1 && strncmp(at, anonymous, sizeof anonymous - 1) == 0
             ? rf_part_literal(d, "(anonymous namespace)")
             : rf_part_copy(d, at, size);
}

RF_COLD part rf_demangle_operator(rf_demangle *d) {
  static const char *const operators[] = {
      "nw", " new", "na", " new[]", "dl", " delete", "da", " delete[]", "ps", "+",  "ng", "-",  "ad", "&",
      "de", "*",    "co", "~",      "pl", "+",       "mi", "-",         "ml", "*",  "dv", "/",  "rm", "%",
      "an", "&",    "or", "|",      "eo", "^",       "aS", "=",         "pL", "+=", "mI", "-=", "mL", "*=",
      "dV", "/=",   "rM", "%=",     "aN", "&=",      "oR", "|=",        "eO", "^=", "ls", "<<", "rs", ">>",
      "lS", "<<=",  "rS", ">>=",    "eq", "==",      "ne", "!=",        "lt", "<",  "gt", ">",  "le", "<=",
      "ge", ">=",   "ss", "<=>",    "nt", "!",       "aa", "&&",        "oo", "||", "pp", "++", "mm", "--",
      "cm", ",",    "pm", "->*",    "pt", "->",      "cl", "()",        "ix", "[]", "qu", "?",  "aw", " co_await"};
  for (unsigned i = 0; i < sizeof operators / sizeof operators[0]; i += 2) {
    if (rf_demangle_accept(d, operators[i])) {
      return rf_part_with(d, rf_part_literal(d, "operator"), operators[i + 1]);
    }
  }
  return fail(d);
}

RF_COLD const char *rf_demangle_qualifiers(rf_demangle *d) {
  static const char *const all[] = {"",    " const",    " volatile",    " const volatile",
                                    " &",  " const &",  " volatile &",  " const volatile &",
                                    " &&", " const &&", " volatile &&", " const volatile &&"};
  (void)rf_demangle_accept(d, "r"); /* restrict, which C++ does not have */
  unsigned q = rf_demangle_accept(d, "V") ? 2 : 0;
  q += rf_demangle_accept(d, "K") ? 1 : 0;
  q += rf_demangle_accept(d, "R") ? 4 : rf_demangle_accept(d, "O") ? 8 : 0;
  return all[q];
}

RF_COLD const char *rf_demangle_builtin(char c) {
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
