/* The libraries for LD_PRELOAD, one for each kind of program that a system may run, and where they lie beside each
 * other: that for programs of 64 bits with glibc in a folder, the others in folders in it. Header only, for the drop-in
 * and for the tools. */
#ifndef RINGFENCE_LIBRARY_KIND_H
#define RINGFENCE_LIBRARY_KIND_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base_name.h"

typedef enum rf_library_kind {
  RF_LIBRARY_MAIN, /* 64 bits, glibc */
  RF_LIBRARY_I386, /* 32 bits, glibc */
  RF_LIBRARY_MUSL, /* 64 bits, musl */
  RF_LIBRARY_NONE  /* there is none for such a program */
} rf_library_kind;

typedef enum rf_libc { RF_LIBC_GLIBC, RF_LIBC_MUSL, RF_LIBC_OTHER } rf_libc;

#define RF_LIBRARY_LAYOUTS 2U /* installed, and in a build's tree */

static inline bool rf_loader_begins(const char *name, const char *start) {
  return strncmp(name, start, strlen(start)) == 0;
}

/* By the file name of a program's loader, or of a library of its C library: "ld-linux-x86-64.so.2". */
static inline rf_libc rf_libc_of_loader(const char *name) {
  if (rf_loader_begins(name, "ld-musl")) {
    return RF_LIBC_MUSL;
  }
  bool const glibc =
      rf_loader_begins(name, "ld-linux") || rf_loader_begins(name, "ld64.so") || strcmp(name, "ld.so.1") == 0;
  return glibc ? RF_LIBC_GLIBC : RF_LIBC_OTHER;
}

static inline rf_library_kind rf_library_kind_of(unsigned machine, bool is64, rf_libc libc) {
  if (libc == RF_LIBC_GLIBC) {
    return is64 ? RF_LIBRARY_MAIN : machine == EM_386 ? RF_LIBRARY_I386 : RF_LIBRARY_NONE;
  }
  return libc == RF_LIBC_MUSL && is64 ? RF_LIBRARY_MUSL : RF_LIBRARY_NONE;
}

static inline const char *rf_library_folder(rf_library_kind kind, unsigned layout) {
  static const char *const folders[RF_LIBRARY_NONE][RF_LIBRARY_LAYOUTS] = {
      {"", ""}, {"ringfence/i386/", "i386/"}, {"ringfence/musl/", "musl/"}};
  return folders[kind][layout];
}

/* Writes the path of the library of kind `to` beside the one at `path`, which is of kind `from`, to `out`. False where
 * that one does not lie as `layout` says, there is no such kind, or `room` is too small. */
static inline bool rf_library_beside(const char *path, rf_library_kind from, rf_library_kind to, unsigned layout,
                                     char *out, size_t room) {
  if (from == RF_LIBRARY_NONE || to == RF_LIBRARY_NONE) {
    return false;
  }
  const char *const name = rf_base_name(path);
  const char *const mine = rf_library_folder(from, layout);
  const char *const other = rf_library_folder(to, layout);
  size_t const less = strlen(mine);
  size_t const length = (size_t)(name - path);
  if (length == 0 || length < less || memcmp(name - less, mine, less) != 0 ||
      length - less + strlen(other) + strlen(name) >= room) {
    return false;
  }
  memcpy(out, path, length - less);
  memcpy(out + length - less, other, strlen(other));
  memcpy(out + length - less + strlen(other), name, strlen(name) + 1);
  return true;
}

#endif /* RINGFENCE_LIBRARY_KIND_H */
