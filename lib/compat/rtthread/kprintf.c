/* rt_kprintf and the like, without stdio. */
#include "../shared.h"
#include "impl.h"

#include <limits.h>

static const rf_sink *the_console = &RF_COMPAT_LOG;

void rf_rt_console_set(const rf_sink *sink) {
  the_console = sink != NULL ? sink : &RF_COMPAT_LOG;
}

/* One conversion of a format: between % and the letter. */
typedef struct spec {
  bool left;
  bool zeros;
  bool prefix;      /* 0x, 0X, 0b or 0 */
  const char *plus; /* the sign of a number that is not negative */
  int width;
  int precision; /* -1: none */
  int length;    /* -2 char, -1 short, 0 int, 1 long, 2 long long, SIZE size_t */
} spec;

#define SIZE 3

/* Counts what it passes on. */
typedef struct output {
  const rf_sink *sink;
  int written;
} output;

static void put(output *out, const char *text, size_t length) {
  rf_sink_mem(out->sink, text, length);
  out->written += (int)length;
}

static void pad(output *out, char c, int count) {
  for (; count > 0; count--) {
    put(out, &c, 1);
  }
}

/* `text` in its field; the sign goes before zeros that fill it. */
static void put_field(output *out, const spec *s, const char *sign, const char *text, size_t length, bool number) {
  int const sign_length = (int)strlen(sign);
  int const fill = s->width - (int)length - sign_length;
  bool const zeros = number && s->zeros && !s->left && s->precision < 0;
  pad(out, ' ', !s->left && !zeros ? fill : 0);
  put(out, sign, (size_t)sign_length);
  pad(out, '0', zeros ? fill : 0);
  put(out, text, length);
  pad(out, ' ', s->left ? fill : 0);
}

static void put_number(output *out, const spec *s, uint64_t value, unsigned base, char ten, const char *sign) {
  char digits[64];
  size_t at = sizeof digits;
  while (value != 0 || (at == sizeof digits && s->precision != 0)) {
    unsigned const digit = (unsigned)(value % base);
    digits[--at] = (char)(digit < 10 ? '0' + (int)digit : ten + (int)digit - 10);
    value /= base;
  }
  size_t const wanted = s->precision > 0 ? (size_t)s->precision : 0;
  while (at != 0 && sizeof digits - at < wanted) {
    digits[--at] = '0';
  }
  put_field(out, s, sign, digits + at, sizeof digits - at, true);
}

static const char *read_number(const char *at, int *number) {
  *number = 0;
  for (; *at >= '0' && *at <= '9'; at++) {
    *number = *number < 10000 ? *number * 10 + (*at - '0') : *number;
  }
  return at;
}

/* A list of arguments that can be handed down by address. */
typedef struct arguments {
  va_list list;
} arguments;

/* The number itself, or the next argument for a star. */
static const char *read_size(const char *at, int *number, arguments *args) {
  if (*at == '*') {
    *number = va_arg(args->list, int);
    return at + 1;
  }
  return read_number(at, number);
}

static const char *read_length(const char *at, spec *s) {
  for (s->length = 0; *at == 'l' || *at == 'h' || *at == 'z' || *at == 'L'; at++) {
    s->length = *at == 'z' ? SIZE : *at == 'L' ? 2 : *at == 'l' ? s->length + 1 : s->length - 1;
  }
  return at;
}

static uint64_t next_unsigned(arguments *args, const spec *s) {
  switch (s->length) {
  case -2:
    return (unsigned char)va_arg(args->list, unsigned);
  case -1:
    return (unsigned short)va_arg(args->list, unsigned);
  case 0:
    return va_arg(args->list, unsigned);
  case 1:
    return va_arg(args->list, unsigned long);
  case 2:
    return va_arg(args->list, unsigned long long);
  default:
    return va_arg(args->list, size_t);
  }
}

static int64_t next_signed(arguments *args, const spec *s) {
  switch (s->length) {
  case -2:
    return (signed char)va_arg(args->list, int);
  case -1:
    return (short)va_arg(args->list, int);
  case 0:
    return va_arg(args->list, int);
  case 1:
    return va_arg(args->list, long);
  case 2:
    return va_arg(args->list, long long);
  default:
    return va_arg(args->list, ptrdiff_t);
  }
}

static void put_text(output *out, const spec *s, const char *text) {
  size_t length = 0;
  text = text != NULL ? text : "(NULL)";
  while (text[length] != '\0' && (s->precision < 0 || (int)length < s->precision)) {
    length++;
  }
  put_field(out, s, "", text, length, false);
}

static void put_signed(output *out, const spec *s, int64_t value) {
  uint64_t const magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  put_number(out, s, magnitude, 10, 'a', value < 0 ? "-" : s->plus);
}

static void put_unsigned(output *out, const spec *s, uint64_t value, char letter) {
  unsigned const base = letter == 'u' ? 10 : letter == 'o' ? 8 : letter == 'b' ? 2 : 16;
  char const own[] = {'0', letter, '\0'};
  const char *const prefix = letter == 'u' ? "" : letter == 'o' ? "0" : own;
  put_number(out, s, value, base, letter == 'X' ? 'A' : 'a', s->prefix && value != 0 ? prefix : "");
}

static void put_pointer(output *out, const spec *s, const void *p) {
  spec wide = *s;
  wide.precision = (int)(2 * sizeof p);
  put_number(out, &wide, (uintptr_t)p, 16, 'a', "0x");
}

/* A letter that is no conversion is printed as it stands, without the flags and sizes before it. */
static void put_unknown(output *out, char letter) {
  char const text[] = {'%', letter};
  put(out, text, letter != '\0' ? 2 : 1);
}

static void put_argument(output *out, const spec *s, char letter, arguments *args) {
  char c;
  switch (letter) {
  case 'd':
  case 'i':
    put_signed(out, s, next_signed(args, s));
    break;
  case 'u':
  case 'o':
  case 'x':
  case 'X':
  case 'b':
    put_unsigned(out, s, next_unsigned(args, s), letter);
    break;
  case 'p':
    put_pointer(out, s, va_arg(args->list, void *));
    break;
  case 's':
    put_text(out, s, va_arg(args->list, const char *));
    break;
  case 'c':
    c = (char)va_arg(args->list, int);
    put_field(out, s, "", &c, 1, false);
    break;
  case 'e':
  case 'E':
  case 'f':
  case 'F':
  case 'g':
  case 'G':
    (void)va_arg(args->list, double); /* so that those behind it are right */
    put_unknown(out, letter);
    break;
  case '%':
    put(out, &letter, 1);
    break;
  default:
    put_unknown(out, letter);
    break;
  }
}

/* Reads the conversion behind a %; returns where its letter is. */
static const char *read_spec(const char *at, spec *s, arguments *args) {
  *s = (spec){.plus = "", .precision = -1};
  for (; *at == '-' || *at == '0' || *at == ' ' || *at == '+' || *at == '#'; at++) {
    s->left = s->left || *at == '-';
    s->zeros = s->zeros || *at == '0';
    s->prefix = s->prefix || *at == '#';
    s->plus = *at == '+' ? "+" : *at == ' ' && *s->plus == '\0' ? " " : s->plus;
  }
  at = read_size(at, &s->width, args);
  if (*at == '.') {
    at = read_size(at + 1, &s->precision, args);
  }
  if (s->width < 0) { /* of an argument */
    s->left = true;
    s->width = s->width == INT_MIN ? INT_MAX : -s->width;
  }
  return read_length(at, s);
}

static int format(const rf_sink *sink, const char *fmt, arguments *args) {
  output out = {sink, 0};
  spec s;
  for (const char *at = fmt; *at != '\0'; at++) {
    const char *const literal = at;
    while (*at != '\0' && *at != '%') {
      at++;
    }
    put(&out, literal, (size_t)(at - literal));
    if (*at == '\0') {
      break;
    }
    at = read_spec(at + 1, &s, args);
    put_argument(&out, &s, *at, args);
    if (*at == '\0') {
      break;
    }
  }
  return out.written;
}

/* ---- To the console ---- */

int rt_kprintf(const char *fmt, ...) {
  arguments args;
  va_start(args.list, fmt);
  int const written = format(the_console, fmt, &args);
  va_end(args.list);
  return written;
}

void rt_kputs(const char *str) {
  if (str != NULL) {
    rf_sink_mem(the_console, str, strlen(str));
  }
}

/* ---- Into a buffer ---- */

typedef struct buffer {
  char *at;
  size_t room; /* without the 0 at the end */
} buffer;

static void to_buffer(void *context, const char *text, size_t len) {
  buffer *const into = (buffer *)context;
  size_t const fits = len < into->room ? len : into->room;
  memcpy(into->at, text, fits);
  into->at += fits;
  into->room -= fits;
}

int rt_vsnprintf(char *buf, rt_size_t size, const char *fmt, va_list args) {
  char nowhere;
  buffer into = {&nowhere, 0};
  if (size != 0) {
    into.at = buf;
    into.room = size - 1;
  }
  rf_sink const sink = {to_buffer, &into};
  arguments copy;
  va_copy(copy.list, args);
  int const written = format(&sink, fmt, &copy);
  va_end(copy.list);
  *into.at = '\0';
  return written;
}

int rt_snprintf(char *buf, rt_size_t size, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int const written = rt_vsnprintf(buf, size, fmt, args);
  va_end(args);
  return written;
}

/* No more than can be. */
int rt_vsprintf(char *buf, const char *fmt, va_list args) {
  return rt_vsnprintf(buf, (rt_size_t)INT_MAX, fmt, args);
}

int rt_sprintf(char *buf, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int const written = rt_vsprintf(buf, fmt, args);
  va_end(args);
  return written;
}
