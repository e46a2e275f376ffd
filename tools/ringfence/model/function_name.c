#include "tools/ringfence/model/function_name.h"

#include "tools/ringfence/base/paths.h"

#include <ctype.h>
#include <string.h>

/* A text that grows within a buffer as large as its source. */
typedef struct text {
  char *at;
  size_t length;
} text;

static void put(text *out, const char *from, size_t length) {
  memcpy(out->at + out->length, from, length);
  out->length += length;
}

/* ---- Mangled names: _Z, then one name, or N, names and E ---- */

static const char anonymous[] = "_GLOBAL__N_1";

/* A decimal length and that many bytes at *at; the length, or 0. */
static size_t source_name(const char **at, const char **name) {
  size_t length = 0;
  const char *p = *at;
  for (; isdigit((unsigned char)*p) && length < 4096; p++) {
    length = length * 10 + (size_t)(*p - '0');
  }
  if (length == 0 || strnlen(p, length) != length) {
    return 0;
  }
  *name = p;
  *at = p + length;
  return length;
}

/* Moves `at` behind "C1", "D2" and the like, which repeat the last name. */
static bool special_member(const char **at, text *out, const char *last, size_t *last_length) {
  bool const destructor = **at == 'D';
  if ((!destructor && **at != 'C') || !isdigit((unsigned char)(*at)[1]) || *last_length == 0) {
    return false;
  }
  *at += 2;
  put(out, destructor ? "::~" : "::", destructor ? 3 : 2);
  put(out, last, *last_length);
  *last_length = 0; /* once: a hostile name must not outgrow the buffer */
  return true;
}

/* Decodes `mangled` to `out`, which has twice its length; false where it has more than plain names. */
static bool decode(const char *mangled, text *out) {
  const char *at = mangled + 2;
  bool const nested = *at == 'N';
  const char *last = NULL;
  size_t last_length = 0;
  at += nested ? 1 + strspn(at + 1, "rVKRO") : *at == 'L';
  if (rf_begins_with(at, "St")) {
    at += 2;
    put(out, "std", 3);
  }
  do {
    if (nested && special_member(&at, out, last, &last_length)) {
      continue;
    }
    last_length = source_name(&at, &last);
    if (last_length == 0) {
      return false;
    }
    if (last_length != strlen(anonymous) || !rf_begins_with(last, anonymous)) {
      put(out, "::", out->length == 0 ? 0 : 2);
      put(out, last, last_length);
    }
  } while (nested && *at != 'E');
  return *at != 'I' && *at != 'B' && out->length != 0;
}

/* ---- Suffixes ---- */

/* The length of a name without what compilers and linkers append to it. */
static size_t without_suffixes(const char *name) {
  static const char *const suffixes[] = {".isra",     ".constprop",  ".part",    ".cold",    ".llvm.",
                                         ".lto_priv", ".localalias", ".__uniq.", " [clone ", "@"};
  size_t length = strlen(name);
  if (length < 2 || strpbrk(name + 1, ". @") == NULL) { /* how they all begin */
    return length;
  }
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
    const char *const found = strstr(name + 1, suffixes[i]);
    if (found != NULL && (size_t)(found - name) < length) {
      length = (size_t)(found - name);
    }
  }
  return length;
}

/* Rust ends names with "::h" and 16 hexadecimal digits that differ from build to build. */
static size_t without_hash(const char *name, size_t length) {
  enum { HASH = 19 };
  bool const hashed = length > HASH && rf_begins_with(name + length - HASH, "::h") &&
                      strspn(name + length - HASH + 3, "0123456789abcdef") >= HASH - 3;
  return hashed ? length - HASH : length;
}

/* ---- Demangled names ---- */

static bool is_name_char(char c) {
  return isalnum((unsigned char)c) || c == '_' || c == '$';
}

/* Moves `at` behind the bracket that closes the one at it. */
static const char *behind_brackets(const char *at, const char *end, char open, char close) {
  unsigned depth = 0;
  for (; at < end; at++) {
    /* The > of -> closes nothing. */
    depth += *at == open;
    if (*at == close && at[-1] != '-' && --depth == 0) {
      return at + 1;
    }
  }
  return end;
}

/* Copies "operator<<", "operator()", "operator new[]" from `at`, behind its first word; returns what follows. */
static const char *copy_operator(text *out, const char *at, const char *end) {
  const char *stop = at;
  if (rf_begins_with(at, "()")) {
    stop += 2;
  }
  while (stop < end && *stop != '(') {
    stop++;
  }
  put(out, at, (size_t)(stop - at));
  return stop;
}

static bool is_operator(const text *out, const char *at) {
  return rf_begins_with(at, "operator") && !is_name_char(at[8]) &&
         (out->length == 0 || !is_name_char(out->at[out->length - 1]));
}

/* gcc writes <lambda(int)> and <unnamed struct> where a class has no name. */
static bool is_unnamed_class(const char *at) {
  return rf_begins_with(at, "<lambda") || rf_begins_with(at, "<unnamed");
}

/* Copies what is between the brackets at `at` and before `next`, without inner ones: "<app::Round<T> as app::Shape>" is
 * "app::Round as app::Shape". */
static void copy_type(text *out, const char *at, const char *next) {
  const char *const end = next - 1;
  at++;
  while (at < end) {
    if (*at == '<') {
      at = behind_brackets(at, end, '<', '>');
    } else {
      put(out, at++, 1);
    }
  }
}

/* True for "type as trait" and "impl trait for type". */
static bool names_trait(const text *type) {
  return memmem(type->at, type->length, " as ", 4) != NULL || (type->length > 5 && rf_begins_with(type->at, "impl "));
}

/* Rust's paths begin with a type in brackets, here from `at` up to `next`: a method of a trait is
 * "<type as trait>::name", which has both, one of the type's own "<type>::name", which debugging information calls
 * "type::name". */
static void copy_rust_type(text *out, const char *at, const char *next) {
  size_t const start = out->length;
  put(out, "<", 1);
  copy_type(out, at, next);
  text const type = {out->at + start + 1, out->length - start - 1};
  if (names_trait(&type)) {
    put(out, ">", 1);
  } else {
    memmove(out->at + start, type.at, type.length);
    out->length--;
  }
}

static bool ends_path(const text *out) {
  return out->length > 2 && memcmp(out->at + out->length - 2, "::", 2) == 0;
}

/* Leaves out the arguments in brackets at `at`, with the "::" that Rust has before them; returns what follows. */
static const char *skip_arguments(text *out, const char *at, const char *end) {
  const char *const next = behind_brackets(at, end, '<', '>');
  if (ends_path(out) && rf_begins_with(at, "<impl ")) {
    copy_rust_type(out, at, next);
  } else if (ends_path(out) && !is_unnamed_class(at)) {
    out->length -= 2;
  }
  return next;
}

/* ---- Lambdas: {lambda(int)#1} of gcc and of demanglers, <lambda(int)> and $_0 of clang's debug information ---- */

static const char lambda[] = "{lambda}";

/* The end of the part of a qualified name that begins at `at`, if it is a lambda; else NULL. */
static const char *behind_lambda(const text *out, const char *at, const char *end) {
  bool const starts = out->length == 0 || out->at[out->length - 1] == ':';
  const char *next = NULL;
  if (rf_begins_with(at, "{lambda")) {
    next = behind_brackets(at, end, '{', '}');
  } else if (rf_begins_with(at, "<lambda")) {
    next = behind_brackets(at, end, '<', '>');
  } else if (rf_begins_with(at, "'lambda") && memchr(at + 1, '\'', (size_t)(end - at) - 1) != NULL) {
    next = (const char *)memchr(at + 1, '\'', (size_t)(end - at) - 1) + 1;
    next += *next == '(' ? (size_t)(behind_brackets(next, end, '(', ')') - next) : 0;
  } else if (starts && rf_begins_with(at, "$_")) {
    next = at + 2 + strspn(at + 2, "0123456789");
    next = next == at + 2 ? NULL : next; /* at least one: what stands for it must not outgrow the buffer */
  } else if (starts && rf_begins_with(at, "(lambda at ")) {
    next = behind_brackets(at, end, '(', ')');
  }
  return next != NULL && next <= end && (next == end || !is_name_char(*next)) ? next : NULL;
}

/* Copies the qualified name out of "type name<arguments>::name(parameters) const". */
static void copy_plain(text *out, const char *at, const char *end) {
  static const char unnamed[] = "(anonymous namespace)::";
  if (*at == '<' && !is_unnamed_class(at)) {
    const char *const next = behind_brackets(at, end, '<', '>');
    if (next[-1] == '>') {
      copy_rust_type(out, at, next);
      at = next;
    }
  }
  while (at < end) {
    const char *const next_part = behind_lambda(out, at, end);
    if (next_part != NULL) {
      put(out, lambda, sizeof lambda - 1);
      at = next_part;
    } else if (is_operator(out, at)) {
      put(out, at, 8);
      at = copy_operator(out, at + 8, end);
    } else if (rf_begins_with(at, unnamed)) {
      at += strlen(unnamed);
    } else if (*at == '<') {
      at = skip_arguments(out, at, end);
    } else if (*at == '{') {
      const char *const next = behind_brackets(at, end, '{', '}');
      put(out, at, (size_t)(next - at));
      at = next;
    } else if (*at == '(') {
      return;
    } else if (*at == ' ') {
      out->length = 0; /* the return type */
      at++;
    } else {
      put(out, at++, 1);
    }
  }
}

const char *rf_function_name(rf_bump_arena *arena, const char *name) {
  text decoded = {(char *)rf_bump_arena_alloc(arena, 2 * strlen(name) + 4), 0};
  bool const mangled = rf_begins_with(name, "_Z");
  if (mangled && decode(name, &decoded)) {
    name = decoded.at;
  }
  /* A lambda of three characters and a colon becomes one of eight. */
  text out = {(char *)rf_bump_arena_alloc(arena, 3 * strlen(name) + sizeof lambda), 0};
  size_t const length = without_hash(name, without_suffixes(name));
  copy_plain(&out, name, name + length);
  out.at[out.length] = '\0'; /* what was left out may have been longer */
  return out.length == 0 ? name : out.at;
}
