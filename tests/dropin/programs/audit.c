/* For LD_AUDIT: wants to see all calls between modules, and their returns, so that the loader makes them. */
#define _GNU_SOURCE
#include <link.h>
#include <stddef.h>

unsigned la_version(unsigned version) {
  return version;
}

unsigned la_objopen(struct link_map *module, Lmid_t namespace, uintptr_t *cookie) {
  (void)module;
  (void)namespace;
  (void)cookie;
  return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}

#if defined(__x86_64__) && defined(__LP64__)
Elf64_Addr la_x86_64_gnu_pltenter(Elf64_Sym *symbol, unsigned index, uintptr_t *from, uintptr_t *to,
                                  La_x86_64_regs *registers, unsigned *flags, const char *name, long *frame_size) {
  enum { STACK_OF_ARGUMENTS = 128 };
  (void)index;
  (void)from;
  (void)to;
  (void)registers;
  (void)flags;
  (void)name;
  *frame_size = STACK_OF_ARGUMENTS;
  return symbol->st_value;
}

unsigned la_x86_64_gnu_pltexit(Elf64_Sym *symbol, unsigned index, uintptr_t *from, uintptr_t *to,
                               const La_x86_64_regs *before, La_x86_64_retval *after, const char *name) {
  (void)symbol;
  (void)index;
  (void)from;
  (void)to;
  (void)before;
  (void)after;
  (void)name;
  return 0;
}
#endif
