#include "tools/ringfence/run/inspect.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/elf.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/run/shebang.h"

#include <elf.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A function of the drop-in that no program has for another reason (checkers/dropin/inspect/process_log.h). */
#define LINKED_IN_SYMBOL "rf_process_log_begin"

/* Linux follows this many scripts that are interpreters of scripts. */
enum { SCRIPTS_DEEP = 5 };

typedef struct sanitizer {
  const char *symbol;
  const char *name;
  bool gives_way; /* as a library: its malloc comes behind a preloaded one, and it takes that as it is */
} sanitizer;

static const sanitizer sanitizers[] = {
    {"__asan_init", "AddressSanitizer", false}, {"__hwasan_init", "HWAddressSanitizer", false},
    {"__lsan_init", "LeakSanitizer", true},     {"__msan_init", "MemorySanitizer", false},
    {"__tsan_init", "ThreadSanitizer", false},
};

rf_identity rf_identity_own(void) {
  return (rf_identity){getuid(), getgid(), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1};
}

static bool is_loader(const char *path) {
  return rf_libc_of_loader(rf_base_name(path)) != RF_LIBC_OTHER;
}

/* Whether running the file makes the loader distrust its environment. */
static rf_obstacle privileges_gained(const char *file, rf_identity identity) {
  struct stat st;
  struct statvfs mount;
  if (identity.no_new_privileges || stat(file, &st) != 0 ||
      (statvfs(file, &mount) == 0 && (mount.f_flag & ST_NOSUID) != 0)) {
    return RF_OBSTACLE_NONE;
  }
  bool const other_user = (st.st_mode & S_ISUID) != 0 && st.st_uid != identity.user;
  /* Without the group's execute bit, setgid means something else. */
  bool const other_group = (st.st_mode & S_ISGID) != 0 && (st.st_mode & S_IXGRP) != 0 && st.st_gid != identity.group;
  if (other_user || other_group) {
    return RF_OBSTACLE_SETUID;
  }
  bool const capabilities = identity.user != 0 && getxattr(file, "security.capability", NULL, 0) > 0;
  return capabilities ? RF_OBSTACLE_CAPABILITIES : RF_OBSTACLE_NONE;
}

/* The exported symbols tell whose malloc the loader will use. A program that asks weakly for a sanitizer's only looks
 * if it is there. */
static void look_at_exports(const rf_elf *elf, rf_inspection *seen) {
  rf_elf_symbol *symbols = NULL;
  size_t const count = rf_elf_symbols(elf, SHT_DYNSYM, &symbols);
  for (size_t i = 0; i < count; i++) {
    for (size_t s = 0; s < sizeof sanitizers / sizeof sanitizers[0]; s++) {
      bool const counts = symbols[i].defined || (!sanitizers[s].gives_way && !symbols[i].weak);
      if (counts && strcmp(symbols[i].name, sanitizers[s].symbol) == 0) {
        seen->obstacle = RF_OBSTACLE_SANITIZER;
        seen->detail = sanitizers[s].name;
        return;
      }
    }
    if (symbols[i].defined && symbols[i].function && strcmp(symbols[i].name, "malloc") == 0) {
      seen->obstacle = RF_OBSTACLE_OWN_MALLOC;
    }
  }
}

static bool has_linked_in(const rf_elf *elf) {
  rf_elf_symbol *symbols = NULL;
  size_t const count = rf_elf_symbols(elf, SHT_SYMTAB, &symbols);
  for (size_t i = 0; i < count; i++) {
    if (symbols[i].defined && strcmp(symbols[i].name, LINKED_IN_SYMBOL) == 0) {
      return true;
    }
  }
  return false;
}

static void look_at_loader(const rf_elf *elf, rf_libc library, rf_inspection *seen) {
  const char *loader = rf_elf_interpreter(elf);
  seen->detail = loader;
  if (loader != NULL && access(loader, F_OK) != 0) {
    seen->obstacle = RF_OBSTACLE_NO_LOADER;
    return;
  }
  /* The loader itself, run as a program, honours LD_PRELOAD. */
  loader = loader != NULL ? loader : rf_elf_dynamic_string(elf, DT_SONAME, is_loader);
  if (loader == NULL) {
    seen->obstacle = elf->entry == 0 ? RF_OBSTACLE_SHARED_LIBRARY : RF_OBSTACLE_STATIC;
    return;
  }
  rf_libc const libc = rf_libc_of_loader(rf_base_name(loader));
  seen->kind = rf_library_kind_of(elf->machine, elf->is64, libc);
  seen->obstacle = libc == library ? RF_OBSTACLE_NONE : RF_OBSTACLE_LIBC;
}

/* Programs of the other machine of a pair run on it, each with libraries of its own. */
static bool is_other_width(const rf_elf *program, const rf_elf *library) {
  static const uint16_t pairs[][2] = {{EM_386, EM_X86_64}, {EM_ARM, EM_AARCH64}, {EM_PPC, EM_PPC64}};
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    if ((program->machine == pairs[i][0] && library->machine == pairs[i][1]) ||
        (program->machine == pairs[i][1] && library->machine == pairs[i][0])) {
      return true;
    }
  }
  return program->machine == library->machine && program->is64 != library->is64;
}

typedef struct loaded {
  rf_elf elf;
  rf_libc libc;
} loaded;

static void look_at_program(const rf_elf *elf, const loaded *library, rf_identity identity, rf_inspection *seen) {
  seen->is64 = elf->is64;
  if (elf->type != ET_EXEC && elf->type != ET_DYN) {
    seen->obstacle = RF_OBSTACLE_NOT_PROGRAM;
    return;
  }
  bool const other_width = is_other_width(elf, &library->elf);
  if (elf->machine != library->elf.machine && !other_width) {
    seen->obstacle = RF_OBSTACLE_MACHINE;
    seen->detail = rf_elf_machine_name(elf->machine);
    return;
  }
  look_at_exports(elf, seen);
  if (seen->obstacle == RF_OBSTACLE_NONE) {
    look_at_loader(elf, library->libc, seen);
  }
  if ((seen->obstacle == RF_OBSTACLE_STATIC || seen->obstacle == RF_OBSTACLE_OWN_MALLOC) && has_linked_in(elf)) {
    seen->obstacle = RF_OBSTACLE_NONE;
    seen->linked_in = true;
    return;
  }
  if (seen->obstacle == RF_OBSTACLE_NONE && other_width) {
    seen->obstacle = RF_OBSTACLE_WIDTH;
  }
  if (seen->obstacle == RF_OBSTACLE_NONE) {
    seen->obstacle = privileges_gained(seen->file, identity);
  }
}

static rf_inspection inspect_file(rf_bump_arena *arena, const char *file, const loaded *library, rf_identity identity) {
  rf_inspection seen = {.file = file, .kind = RF_LIBRARY_NONE};
  rf_elf elf;
  switch (rf_elf_open(&elf, file, arena)) {
  case RF_ELF_OK:
    look_at_program(&elf, library, identity, &seen);
    rf_elf_close(&elf);
    break;
  case RF_ELF_BYTE_ORDER:
    seen.obstacle = RF_OBSTACLE_MACHINE;
    seen.detail = rf_elf_machine_name(elf.machine);
    break;
  case RF_ELF_DAMAGED:
    seen.obstacle = RF_OBSTACLE_NOT_PROGRAM;
    break;
  case RF_ELF_NOT_ELF:
  case RF_ELF_UNREADABLE:
    break;
  }
  return seen;
}

static rf_inspection without_shell(rf_bump_arena *arena, const char *script, const char *interpreter) {
  size_t const length = strlen(interpreter);
  bool const windows = length != 0 && interpreter[length - 1] == '\r';
  return (rf_inspection){windows ? RF_OBSTACLE_CARRIAGE_RETURN : RF_OBSTACLE_NO_SHELL, script,
                         .detail = rf_bump_arena_text(arena, interpreter, length - (windows ? 1 : 0)),
                         .kind = RF_LIBRARY_NONE};
}

rf_inspection rf_inspect(rf_bump_arena *arena, const char *program, const char *library, rf_identity identity) {
  const char *file = program;
  for (int i = 0; i < SCRIPTS_DEEP; i++) {
    const char *const interpreter = rf_shebang_interpreter(arena, file);
    if (interpreter == NULL) {
      break;
    }
    if (access(interpreter, F_OK) != 0) {
      return without_shell(arena, file, interpreter);
    }
    file = interpreter;
  }
  bool const musl = rf_paths_kind(arena, library) == RF_LIBRARY_MUSL;
  loaded to_load = {.libc = musl ? RF_LIBC_MUSL : RF_LIBC_GLIBC};
  if (rf_elf_open(&to_load.elf, library, arena) != RF_ELF_OK) {
    return (rf_inspection){.file = file, .kind = RF_LIBRARY_NONE};
  }
  rf_inspection const seen = inspect_file(arena, file, &to_load, identity);
  rf_elf_close(&to_load.elf);
  return seen;
}
