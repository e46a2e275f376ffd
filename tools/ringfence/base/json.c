#include "tools/ringfence/base/json.h"

#include <string.h>

enum { NESTED = 64 };

typedef struct parser {
  rf_bump_arena *arena;
  const char *at;
  const char *end;
  unsigned depth;
} parser;

static bool parse_value(parser *p, rf_json *out);

static void skip_space(parser *p) {
  while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')) {
    p->at++;
  }
}

/* Takes `c`, after space, if it comes next. */
static bool take(parser *p, char c) {
  skip_space(p);
  if (p->at == p->end || *p->at != c) {
    return false;
  }
  p->at++;
  return true;
}

static bool take_word(parser *p, const char *word) {
  size_t const length = strlen(word);
  if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length) != 0) {
    return false;
  }
  p->at += length;
  return true;
}

static bool is_digit(const parser *p) {
  return p->at < p->end && *p->at >= '0' && *p->at <= '9';
}

static bool take_digits(parser *p) {
  const char *const start = p->at;
  while (is_digit(p)) {
    p->at++;
  }
  return p->at > start;
}

static bool take_one_of(parser *p, const char *set) {
  if (p->at == p->end || *p->at == '\0' || strchr(set, *p->at) == NULL) {
    return false;
  }
  p->at++;
  return true;
}

static bool parse_number(parser *p, rf_json *out) {
  const char *const start = p->at;
  (void)take_one_of(p, "-");
  if (!take_one_of(p, "0") && !take_digits(p)) {
    return false;
  }
  if (take_one_of(p, ".") && !take_digits(p)) {
    return false;
  }
  if (take_one_of(p, "eE")) {
    (void)take_one_of(p, "+-");
    if (!take_digits(p)) {
      return false;
    }
  }
  out->type = RF_JSON_NUMBER;
  out->text = rf_bump_arena_text(p->arena, start, (size_t)(p->at - start));
  return true;
}

static bool take_hex4(parser *p, uint32_t *out) {
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *const digit = p->at < p->end && *p->at != '\0' ? strchr(digits, *p->at) : NULL;
    if (digit == NULL) {
      return false;
    }
    value = value << 4 | ((uint32_t)(digit - digits) & 0xF);
    p->at++;
  }
  *out = value;
  return true;
}

static size_t put_utf8(char *out, uint32_t c) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  if (c < 0x800) {
    out[0] = (char)(0xC0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3F));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = (char)(0xE0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 0x3F));
    out[2] = (char)(0x80 | (c & 0x3F));
    return 3;
  }
  out[0] = (char)(0xF0 | c >> 18);
  out[1] = (char)(0x80 | (c >> 12 & 0x3F));
  out[2] = (char)(0x80 | (c >> 6 & 0x3F));
  out[3] = (char)(0x80 | (c & 0x3F));
  return 4;
}

/* After \u: one unit of UTF-16, or two. An unpaired surrogate becomes U+FFFD, as does U+0000, which would end the
 * text. */
static bool take_unicode(parser *p, uint32_t *out) {
  uint32_t c = 0;
  uint32_t low = 0;
  if (!take_hex4(p, &c)) {
    return false;
  }
  bool const high = c >= 0xD800 && c < 0xDC00;
  if (high && take_word(p, "\\u")) {
    if (!take_hex4(p, &low)) {
      return false;
    }
    c = low >= 0xDC00 && low < 0xE000 ? 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD;
  } else if (c == 0 || (c >= 0xD800 && c < 0xE000)) {
    c = 0xFFFD;
  }
  *out = c;
  return true;
}

static bool take_escape(parser *p, char *out, size_t *length) {
  static const char letters[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
  if (p->at == p->end) {
    return false;
  }
  char const letter = *p->at++;
  uint32_t c = 0;
  if (letter == 'u') {
    if (!take_unicode(p, &c)) {
      return false;
    }
  } else {
    const char *const known = letter == '\0' ? NULL : strchr(letters, letter);
    if (known == NULL) {
      return false;
    }
    c = (uint32_t)meanings[known - letters];
  }
  *length += put_utf8(out + *length, c);
  return true;
}

/* The closing quote of the string that begins at p->at, or NULL. Sets *plain where no escape comes before it. */
static const char *closing_quote(const parser *p, bool *plain) {
  const char *const first = (const char *)memchr(p->at, '"', (size_t)(p->end - p->at));
  *plain = first == NULL || memchr(p->at, '\\', (size_t)(first - p->at)) == NULL;
  if (*plain) {
    return first;
  }
  const char *at = p->at;
  while (at < p->end && *at != '"') {
    at += *at == '\\' ? 2 : 1;
  }
  return at < p->end ? at : NULL;
}

/* True where one of `length` bytes is below ' '. Eight at a time: the highest bit of a byte stays set where it borrows,
 * and was not set before. */
static bool has_control(const char *text, size_t length) {
  uint64_t const ones = UINT64_C(0x0101010101010101);
  uint64_t found = 0;
  size_t i = 0;
  for (; length - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, text + i, sizeof word);
    found |= (word - ones * 0x20) & ~word;
  }
  bool any = (found & ones * 0x80) != 0;
  for (; i < length; i++) {
    any = any || (unsigned char)text[i] < 0x20;
  }
  return any;
}

/* Up to `quote`, with its escapes. */
static bool copy_escaped(parser *p, const char *quote, char *text) {
  size_t length = 0;
  while (p->at < quote) {
    char const c = *p->at++;
    if (c == '\\') {
      if (!take_escape(p, text, &length)) {
        return false;
      }
    } else {
      text[length++] = c;
    }
  }
  return true;
}

static const char *parse_text(parser *p) {
  bool plain = false;
  const char *const quote = take(p, '"') ? closing_quote(p, &plain) : NULL;
  size_t const length = quote == NULL ? 0 : (size_t)(quote - p->at);
  if (quote == NULL || has_control(p->at, length)) {
    return NULL;
  }
  /* No escape is shorter than what it stands for. */
  char *const text = (char *)rf_bump_arena_alloc(p->arena, length + 1);
  if (plain) {
    memcpy(text, p->at, length);
  } else if (!copy_escaped(p, quote, text)) {
    return NULL;
  }
  p->at = quote + 1;
  return text;
}

static bool parse_string(parser *p, rf_json *out) {
  out->type = RF_JSON_STRING;
  out->text = parse_text(p);
  return out->text != NULL;
}

static bool parse_element(parser *p, rf_json *out, bool object) {
  if (object) {
    out->name = parse_text(p);
    if (out->name == NULL || !take(p, ':')) {
      return false;
    }
  }
  return parse_value(p, out);
}

static bool parse_list(parser *p, rf_json *out, bool object) {
  char const end = (char)(object ? '}' : ']');
  out->type = object ? RF_JSON_OBJECT : RF_JSON_ARRAY;
  if (p->depth == NESTED) {
    return false;
  }
  if (take(p, end)) {
    return true;
  }
  p->depth++;
  const rf_json **tail = &out->first;
  do {
    rf_json *const element = (rf_json *)rf_bump_arena_alloc(p->arena, sizeof *element);
    if (!parse_element(p, element, object)) {
      return false;
    }
    *tail = element;
    tail = &element->next;
  } while (take(p, ','));
  p->depth--;
  return take(p, end);
}

static bool parse_word(parser *p, rf_json *out) {
  out->type = RF_JSON_BOOL;
  out->truth = take_word(p, "true");
  if (out->truth || take_word(p, "false")) {
    return true;
  }
  out->type = RF_JSON_NULL;
  return take_word(p, "null");
}

static bool parse_value(parser *p, rf_json *out) {
  skip_space(p);
  char c = '\0';
  if (p->at < p->end) {
    c = *p->at;
  }
  if (c == '{' || c == '[') {
    p->at++;
    return parse_list(p, out, c == '{');
  }
  if (c == '"') {
    return parse_string(p, out);
  }
  return c == '-' || is_digit(p) ? parse_number(p, out) : parse_word(p, out);
}

const rf_json *rf_json_parse(rf_bump_arena *arena, const char *text, size_t length) {
  parser p = {.arena = arena, .at = text, .end = text + length};
  rf_json *const value = (rf_json *)rf_bump_arena_alloc(arena, sizeof *value);
  bool const parsed = parse_value(&p, value);
  skip_space(&p);
  return parsed && p.at == p.end ? value : NULL;
}
