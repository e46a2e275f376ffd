/* The table of rules, what fills it, and frames that no rule fits. */
#define _GNU_SOURCE /* _dl_find_object */
#include "stack_rules.h"

#if RF_STACK_RULES

#include "elf_image.h"
#include "host.h"
#include "maps.h"
#include "reserve_stack.h"
#include "stack_walk.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#define PAGE 4096U
#define POPULATE_WRITE 23 /* headers may be older than the kernel; older kernels refuse it, which does no harm */

rf_stack_rule_word rf_stack_rule_table[2 * RF_RULES_SETS] __attribute__((aligned(PAGE)));
uint32_t rf_stack_rule_mask = RF_RULES_FIRST - 1;

static uint32_t rules_kept; /* about how many there are */

/* All sets, once the first ones are half full. Their memory comes at once: the next rules would touch each of the
 * pages, which costs more. A rule whose set has changed is found anew. */
static void use_all_sets(void) {
  int const saved = errno;
  (void)madvise(rf_stack_rule_table, sizeof rf_stack_rule_table, POPULATE_WRITE);
  __atomic_store_n(&rf_stack_rule_mask, RF_RULES_SETS - 1, __ATOMIC_RELAXED);
  errno = saved;
}

/* ---- Modules ---- */

/* The most modules that are known. A module that begins where another one did, or overlaps it, shows that the other was
 * unmapped, though no dlclose was seen: the C library closes modules of its own by itself. */
#define MODULES 256U

/* Written by the thread that holds modules_busy, `start` last; read by all. */
typedef struct known_module {
  uintptr_t start; /* 0: none, nor any behind it */
  uintptr_t end;
  uintptr_t header;
  uintptr_t checksum;
} known_module;

static known_module modules[MODULES];
static uint32_t modules_next;
static uint32_t modules_busy; /* a thread is changing them; others do without */

static uintptr_t get(const uintptr_t *field) {
  return __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to */
static void put(uintptr_t *field, uintptr_t value) {
  __atomic_store_n(field, value, __ATOMIC_RELEASE);
}

/* Word by word: it is asked for with each new rule. */
static uintptr_t checksum_bytes(uintptr_t sum, uintptr_t at, uintptr_t end) {
  uintptr_t word;
  for (; end - at >= sizeof word; at += sizeof word) {
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): no module begins at address 0 */
    memcpy(&word, (const void *)at, sizeof word);
    sum = (sum << 5 | sum >> (sizeof sum * 8 - 5)) + word;
  }
  return sum;
}

/* The beginning of .eh_frame_hdr, and of .eh_frame, which linkers put behind it: no further than the page, for the next
 * one may be in a hole between segments. */
#define CHECKED_BYTES 512U
#define LEAST_PAGE 4096U

static uintptr_t checked_end(uintptr_t at) {
  uintptr_t const in_page = LEAST_PAGE - at % LEAST_PAGE;
  return at + (in_page < CHECKED_BYTES ? in_page : CHECKED_BYTES);
}

static uintptr_t checksum_of(const rf_eh_module *m) {
  uintptr_t const frames = m->header != 0 ? rf_eh_frame_start(m) : 0;
  uintptr_t sum = m->end - m->start;
  if (m->header != 0 && m->end - m->header >= CHECKED_BYTES) {
    sum = checksum_bytes(sum, m->header, checked_end(m->header));
  }
  if (frames >= m->start && frames < m->end && m->end - frames >= CHECKED_BYTES) {
    sum = checksum_bytes(sum, frames, checked_end(frames));
  }
  return sum;
}

static bool is_known(const rf_eh_module *m, uintptr_t checksum) {
  for (unsigned i = 0; i < MODULES && get(&modules[i].start) != 0; i++) {
    if (get(&modules[i].start) == m->start) {
      return get(&modules[i].end) == m->end && get(&modules[i].checksum) == checksum;
    }
  }
  return false;
}

static void forget_rules(void) {
  for (size_t i = 0; i < 2 * (size_t)RF_RULES_SETS; i++) {
    if (__atomic_load_n(&rf_stack_rule_table[i], __ATOMIC_RELAXED) != 0) {
      __atomic_store_n(&rf_stack_rule_table[i], 0, __ATOMIC_RELAXED);
    }
  }
}

static void advance_generation(void) {
  uint32_t const next = __atomic_load_n(&rf_stack_generation, __ATOMIC_RELAXED) + 1;
  __atomic_store_n(&rf_stack_generation, next != 0 && next != UINT32_MAX ? next : 1, __ATOMIC_RELEASE);
}

static bool take_modules(void) {
  uint32_t idle = 0;
  return __atomic_compare_exchange_n(&modules_busy, &idle, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void rf_stack_rules_reset(void) {
  if (__atomic_load_n(&modules_busy, __ATOMIC_RELAXED) != 0) {
    __atomic_store_n(&modules_busy, 0, __ATOMIC_RELEASE);
  }
}

/* In the place of one that it overlaps, else in a free one, else in the oldest. */
static void add_module(const rf_eh_module *m, uintptr_t checksum) {
  unsigned place = MODULES;
  for (unsigned i = 0; i < MODULES && get(&modules[i].start) != 0; i++) {
    if (get(&modules[i].start) < m->end && get(&modules[i].end) > m->start) {
      place = i;
    }
  }
  bool const replaces = place != MODULES;
  place = replaces ? place : modules_next++ % MODULES;
  put(&modules[place].end, 0);
  put(&modules[place].header, m->header);
  put(&modules[place].checksum, checksum);
  put(&modules[place].start, m->start);
  put(&modules[place].end, m->end);
  if (replaces) {
    advance_generation();
    forget_rules();
  }
}

/* True where what is found of `m` may be kept. */
static bool note_module(const rf_eh_module *m) {
  uintptr_t const checksum = checksum_of(m);
  if (is_known(m, checksum)) {
    return true;
  }
  if (!take_modules()) {
    return false;
  }
  if (!is_known(m, checksum)) {
    add_module(m, checksum);
  }
  rf_stack_rules_reset();
  return true;
}

/* ---- Which module ---- */

typedef struct map_search {
  uintptr_t pc;
  uintptr_t base; /* of the file whose mappings are being visited */
  char name[256];
  size_t name_length;
  bool found;
} map_search;

static bool visit(const rf_map *map, void *context) {
  map_search *const s = (map_search *)context;
  size_t const length = map->name_length < sizeof s->name ? map->name_length : sizeof s->name;
  bool const same = length == s->name_length && memcmp(map->name, s->name, length) == 0;
  if (!same || (map->file_offset == 0 && !rf_elf_goes_on(s->base, map->start))) {
    memcpy(s->name, map->name, length);
    s->name_length = length;
    s->base = map->start;
  }
  s->found = s->pc >= map->start && s->pc < map->end;
  return !s->found && map->start <= s->pc;
}

static bool module_from_headers(uintptr_t base, rf_eh_module *m) {
  unsigned count = 0;
  const rf_program_header *const headers = rf_program_headers(base, &count);
  if (headers == NULL) {
    return false;
  }
  uintptr_t const bias = rf_elf_bias(base, headers, count);
  *m = (rf_eh_module){base, rf_elf_image_end(base), 0};
  for (unsigned i = 0; i < count; i++) {
    if (headers[i].p_type == PT_GNU_EH_FRAME) {
      m->header = bias + headers[i].p_vaddr;
    }
  }
  return true;
}

/* Pages that were found to be of no module, by their numbers; accessed atomically. A C library without tables (musl)
 * has stacks end at words that are no return addresses, and to read the map for each would take longer than all else.
 * Code may come to be there later: after some answers each is looked at again. */
#define PAGES 64U
#define PAGE_BITS 12U
#define ANSWERS 4096U

static uintptr_t pages[PAGES];
static uint32_t answers;

static uintptr_t *page_of(uintptr_t pc) {
  return &pages[(pc >> PAGE_BITS) % PAGES];
}

static bool is_without_module(uintptr_t pc) {
  if (get(page_of(pc)) != pc >> PAGE_BITS) {
    return false;
  }
  if (__atomic_add_fetch(&answers, 1, __ATOMIC_RELAXED) % ANSWERS == 0) {
    put(page_of(pc), 0);
  }
  return true;
}

static bool find_in_maps(uintptr_t pc, rf_eh_module *m) {
  map_search s = {.pc = pc};
  if (is_without_module(pc) || !rf_maps_each(visit, &s)) {
    return false;
  }
  bool const found = s.found && module_from_headers(s.base, m);
  if (!found) {
    put(page_of(pc), pc >> PAGE_BITS);
  }
  return found;
}

/* For modules that the C library does not tell of: before glibc 2.35, in static programs, and of modules with holes. */
static bool module_from_maps(uintptr_t pc, rf_eh_module *m) {
  for (unsigned i = 0; i < MODULES && get(&modules[i].start) != 0; i++) {
    uintptr_t const end = get(&modules[i].end);
    if (pc >= get(&modules[i].start) && pc < end) {
      *m = (rf_eh_module){get(&modules[i].start), end, get(&modules[i].header)};
      return true;
    }
  }
  return find_in_maps(pc, m);
}

#if defined(DLFO_STRUCT_HAS_EH_DBASE)
#pragma weak _dl_find_object

/* Neither locks nor allocates, and may be called in signal handlers. In a static program, which no linker started, it
 * is made ready by code that allocates. */
static bool module_of(uintptr_t pc, rf_eh_module *m) {
  struct dl_find_object found;
  if (_dl_find_object == NULL || getauxval(AT_BASE) == 0) {
    return module_from_maps(pc, m);
  }
  if (_dl_find_object((void *)pc, &found) != 0) {
    return false;
  }
  *m = (rf_eh_module){(uintptr_t)found.dlfo_map_start, (uintptr_t)found.dlfo_map_end, (uintptr_t)found.dlfo_eh_frame};
  /* In a module with holes, this is the one segment. */
  return m->header == 0 || (m->header >= m->start && m->header < m->end) || module_from_maps(pc, m);
}
#else
static bool module_of(uintptr_t pc, rf_eh_module *m) {
  return module_from_maps(pc, m);
}
#endif

/* ---- Rules ---- */

static bool is_at_cfa(const rf_place *place, int32_t words) {
  return place->kind == RF_PLACE_AT_CFA && place->operand == -words * (int32_t)sizeof(uintptr_t);
}

/* The words below the CFA at which the caller's frame pointer is; 0: still in the register; -1: neither. */
static int32_t words_to_bp(const rf_place *place) {
  int32_t const word = (int32_t)sizeof(uintptr_t);
  if (place->kind == RF_PLACE_SAME) {
    return 0;
  }
  bool const fits = place->kind == RF_PLACE_AT_CFA && place->operand < 0 && place->operand % word == 0;
  return fits && place->operand / -word <= 0xFF ? place->operand / -word : -1;
}

/* Functions that align their stack to more than the ABI does keep the CFA in a word below the frame pointer. */
static uint32_t rule_behind(const rf_eh_module *m, const rf_eh_row *row) {
  const rf_place *const bp = &row->places[RF_REGISTER_BP];
  int32_t const word = (int32_t)sizeof(uintptr_t);
  int32_t offset;
  int32_t none;
  bool const fits = bp->kind == RF_PLACE_AT_EXPRESSION && is_at_cfa(&row->places[RF_REGISTER_PC], 1) &&
                    rf_eh_frame_is_simple(m, bp, RF_REGISTER_BP, false, &none) && none == 0 &&
                    rf_eh_frame_is_simple(m, &row->cfa, RF_REGISTER_BP, true, &offset);
  return fits && offset < 0 && offset % word == 0 && offset / -word <= 0xFFFF
             ? RF_RULE_OF_N(RF_RULE_BEHIND, offset / -word)
             : RF_RULE_ROW;
}

static uint32_t rule_of(const rf_eh_module *m, const rf_eh_row *row) {
  const rf_place *const cfa = &row->cfa;
  const rf_place *const pc = &row->places[RF_REGISTER_PC];
  int32_t const word = (int32_t)sizeof(uintptr_t);
  if (pc->kind == RF_PLACE_UNDEFINED) {
    return RF_RULE_END;
  }
  if (cfa->kind == RF_PLACE_BY_EXPRESSION && !row->is_signal_frame) {
    return rule_behind(m, row);
  }
  int32_t const bp = words_to_bp(&row->places[RF_REGISTER_BP]);
  int32_t const n = cfa->operand / word;
  bool const from_sp = cfa->base == RF_REGISTER_SP;
  if (row->is_signal_frame || cfa->kind != RF_PLACE_AT_REGISTER || (!from_sp && cfa->base != RF_REGISTER_BP) ||
      !is_at_cfa(pc, 1) || row->places[RF_REGISTER_SP].kind != RF_PLACE_SAME || bp < 0 || cfa->operand % word != 0 ||
      n < 1 || n > 0xFFFF || (from_sp && bp > n)) {
    return RF_RULE_ROW;
  }
  return (uint32_t)bp << 18 | RF_RULE_OF_N(from_sp ? RF_RULE_SP : RF_RULE_BP, n);
}

/* In the place that is free, else in the first, whose rule moves to the second. */
static void keep(uintptr_t pc, uint32_t rule) {
  uint64_t const word = (uint64_t)(pc >> RF_RULES_FIRST_BITS) << RF_RULE_BITS | rule;
  if (word >> RF_RULE_BITS != pc >> RF_RULES_FIRST_BITS) {
    return; /* an address of more than 47 bits */
  }
  if (__atomic_add_fetch(&rules_kept, 1, __ATOMIC_RELAXED) == RF_RULES_FIRST) {
    use_all_sets();
  }
  rf_stack_rule_word *const set = rf_stack_rule_set(pc);
  uint64_t const first = __atomic_load_n(&set[0], __ATOMIC_RELAXED);
  if (first != 0) {
    __atomic_store_n(&set[1], first, __ATOMIC_RELAXED);
  }
  __atomic_store_n(&set[0], word, __ATOMIC_RELAXED);
}

void rf_stack_rule_learn(uintptr_t pc, uintptr_t size) {
  if (size % sizeof size == 0 && size != 0 && size / sizeof size <= RF_RULE_N(UINT32_MAX)) {
    keep(pc, RF_RULE_OF_N(RF_RULE_SP, size / sizeof size));
  }
}

typedef struct rule_search {
  uintptr_t pc;
  uint32_t rule; /* out */
} rule_search;

static void find_rule(void *context) {
  rule_search *const s = (rule_search *)context;
  rf_eh_module m;
  rf_eh_row row;
  if (!module_of(s->pc - 1, &m)) {
    return;
  }
  s->rule = rf_eh_frame_row(&m, s->pc - 1, &row) ? rule_of(&m, &row) : RF_RULE_POINTERS;
  if (note_module(&m)) {
    keep(s->pc, s->rule);
  }
}

/* To read the tables takes more of the stack than all else that a request for memory does. */
uint32_t rf_stack_rule_find(uintptr_t pc) {
  rule_search search = {pc, RF_RULE_UNKNOWN};
  rf_on_reserve_stack(find_rule, &search);
  return search.rule;
}

void rf_stack_rules_forget(void) {
  bool const taken = take_modules();
  advance_generation();
  forget_rules();
  for (unsigned i = 0; taken && i < MODULES; i++) {
    put(&modules[i].start, 0);
  }
  if (taken) {
    modules_next = 0;
    rf_stack_rules_reset();
  }
}

/* ---- Frames that no rule fits ---- */

/* Below the stack pointer, where signals leave what a function has there; tables refer to a register that it just took
 * from there. */
#if defined(__x86_64__)
#define RED_ZONE 128U
#else
#define RED_ZONE 0U
#endif

/* A signal may have come on another stack than the one that it interrupted. */
static bool settle(rf_rules_frame *to, const rf_rules_frame *from, bool is_signal_frame) {
  uintptr_t const sp = to->registers.values[RF_REGISTER_SP];
  uintptr_t low;
  to->returned = !is_signal_frame;
  to->registers.low = sp;
  if (to->registers.values[RF_REGISTER_PC] < RF_PC_LEAST || sp % sizeof sp != 0) {
    return false;
  }
  if (is_signal_frame) {
    bool const bounded = rf_host_stack((const void *)sp, &low, &to->registers.high);
    to->registers.low = bounded && sp - low > RED_ZONE ? sp - RED_ZONE : low;
    return bounded;
  }
  return sp > from->registers.values[RF_REGISTER_SP] && sp <= to->registers.high;
}

typedef struct step {
  rf_rules_frame *frame;
  rf_unwind_result result; /* out */
} step;

static void go_on(void *context) {
  step *const s = (step *)context;
  rf_rules_frame *const frame = s->frame;
  uintptr_t const pc = frame->registers.values[RF_REGISTER_PC] - (frame->returned ? 1 : 0);
  rf_rules_frame next = *frame;
  rf_eh_module m;
  rf_eh_row row;
  if (!module_of(pc, &m) || !rf_eh_frame_row(&m, pc, &row)) {
    return;
  }
  rf_unwind_result const result = rf_eh_frame_step(&m, &row, &next.registers);
  if (result != RF_UNWIND_STEPPED || settle(&next, frame, row.is_signal_frame)) {
    *frame = next;
    s->result = result;
  }
}

rf_unwind_result rf_stack_rules_step(rf_rules_frame *frame) {
  step s = {frame, RF_UNWIND_FAILED};
  rf_on_reserve_stack(go_on, &s);
  return s.result;
}

/* The registers that calls preserve, and the place itself. */
#if defined(__x86_64__)
#define READ_REGISTERS(values)                                                                                         \
  __asm__ volatile("leaq 0(%%rip), %%rax\n\t"                                                                          \
                   "movq %%rax, 128(%0)\n\t"                                                                           \
                   "movq %%rbx, 24(%0)\n\t"                                                                            \
                   "movq %%rbp, 48(%0)\n\t"                                                                            \
                   "movq %%rsp, 56(%0)\n\t"                                                                            \
                   "movq %%r12, 96(%0)\n\t"                                                                            \
                   "movq %%r13, 104(%0)\n\t"                                                                           \
                   "movq %%r14, 112(%0)\n\t"                                                                           \
                   "movq %%r15, 120(%0)"                                                                               \
                   :                                                                                                   \
                   : "r"(values)                                                                                       \
                   : "rax", "memory")
#define READ_KNOWN 0x1F0C8U
#else
#define READ_REGISTERS(values)                                                                                         \
  __asm__ volatile("call 1f\n"                                                                                         \
                   "1:\tpopl 32(%0)\n\t"                                                                               \
                   "movl %%ebx, 12(%0)\n\t"                                                                            \
                   "movl %%esp, 16(%0)\n\t"                                                                            \
                   "movl %%ebp, 20(%0)\n\t"                                                                            \
                   "movl %%esi, 24(%0)\n\t"                                                                            \
                   "movl %%edi, 28(%0)"                                                                                \
                   :                                                                                                   \
                   : "r"(values)                                                                                       \
                   : "memory")
#define READ_KNOWN 0x1F8U
#endif

#define OWN_FRAMES 32U /* of the checker, at most */

__attribute__((noinline)) unsigned rf_stack_rules_capture(const rf_origin *origin, uintptr_t *frames, unsigned max) {
  rf_rules_frame f = {.registers.known = READ_KNOWN};
  uintptr_t *const values = f.registers.values;
  uintptr_t const sp = (uintptr_t)origin->frame + 2 * sizeof sp;
  unsigned count = 0;
  READ_REGISTERS(values);
  if (!rf_host_stack((const void *)values[RF_REGISTER_SP], &f.registers.low, &f.registers.high)) {
    return 0;
  }
  for (unsigned i = 0; values[RF_REGISTER_PC] != origin->caller || values[RF_REGISTER_SP] < sp; i++) {
    if (i == OWN_FRAMES || rf_stack_rules_step(&f) != RF_UNWIND_STEPPED) {
      return 0;
    }
  }
  do {
    frames[count++] = values[RF_REGISTER_PC];
  } while (count < max && rf_stack_rules_step(&f) == RF_UNWIND_STEPPED);
  return count;
}

#else

/* ISO C wants a declaration in every file. */
typedef int rf_stack_rules_are_not_known_here;

#endif
