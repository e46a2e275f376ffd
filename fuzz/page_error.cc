#include "page_error.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>

namespace ringfence::fuzz {
namespace {

const rf_site kSite = {"page_error.cc", "fresh_victim", 1};

uintptr_t number(const void *ptr) {
  return reinterpret_cast<uintptr_t>(ptr);
}

size_t page_size() {
  static size_t const size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// Within this distance an access surely belongs to this block: neighbours are eight pages away, one on 32 bit.
size_t reach() {
  return sizeof(void *) == 8 ? 3 * page_size() : page_size() / 4;
}

// Only x86 says whether the access was a write.
rf_access access_at_fault(bool write) {
#if defined(__x86_64__) || defined(__i386__)
  return write ? RF_ACCESS_WRITE : RF_ACCESS_READ;
#else
  (void)write;
  return RF_ACCESS_UNKNOWN;
#endif
}

} // namespace

PageError::PageError(const Paged &paged, Reader &reader)
    : paged_(paged), kind_(reader.u8()), victim_choice_(reader.u8()), fresh_size_(reader.length() % 9000),
      where_(reader.u16()), verb_(reader.u8()), trigger_(reader.u8()) {}

// ---- The victim ----

const Block *PageError::fresh_victim(Interpreter &program) {
  size_t const align = size_t{1} << verb_ % 8;
  victim_is_fresh_ = true;
  return program.adopt(rf_alloc_at(paged_.allocator, fresh_size_, align, &kSite), fresh_size_, align, false);
}

// A live block of the program, or a new one.
bool PageError::choose_victim(Interpreter &program) {
  size_t const count = program.shadow().count();
  bool const has = count != 0 && victim_choice_ % 4 != 0;
  const Block *const block = has ? &program.shadow().nth(victim_choice_ % count) : fresh_victim(program);
  if (block == nullptr) {
    return false;
  }
  if (!paged_.has(block->ptr)) {
    bool const sure = !has && count < paged_.sure_below && block->size <= page_size();
    return sure && program.verdict().fail("pages", "p%u is not on pages of its own", block->id);
  }
  if (!rf_owns(paged_.allocator, block->ptr)) {
    return program.verdict().fail("owns", "p%u is not the allocator's", block->id);
  }
  victim_ = *block;
  return true;
}

// The accessible pages; none for a block of no bytes.
uintptr_t PageError::open_start() const {
  return number(victim_.ptr) & ~(page_size() - 1);
}

uintptr_t PageError::open_end() const {
  uintptr_t const end = number(victim_.ptr) + victim_.size;
  return victim_.size == 0 ? open_start() : (end + page_size() - 1) & ~(page_size() - 1);
}

// ---- The errors ----

const PageError::Kind PageError::kKinds[] = {
    {"touch behind a block", &PageError::touch_behind},
    {"touch before a block", &PageError::touch_before},
    {"touch of a freed block", &PageError::touch_freed},
    {"touch beside a freed block", &PageError::touch_beside_freed},
    {"double free", &PageError::double_free},
    {"interior free", &PageError::interior_free},
    {"free beside a block", &PageError::beside_free},
    {"foreign free", &PageError::foreign_free},
    {"leak", &PageError::leak},
    {"size too big", &PageError::too_big},
    {"calloc overflow", &PageError::calloc_overflow},
    {"bad alignment", &PageError::bad_alignment},
    {"call from a walk's visitor", &PageError::reentry},
};

const PageError::Kind &PageError::kind() const {
  return kKinds[kind_ % std::size(kKinds)];
}

PageError::Deed PageError::act() {
  return (this->*kind().act)();
}

// Reads or writes a byte outside of the block. Where the page is open, only a write leaves a trace.
PageError::Deed PageError::touch(unsigned char *at, bool is_open, rf_bug bug) {
  bool const write = verb_ % 2 == 0;
  volatile unsigned char *const byte = at;
  if (is_open && !write) {
    return {};
  }
  if (write) {
    *byte = static_cast<unsigned char>(is_open ? *byte ^ (1U + verb_ % 255U) : verb_);
  } else {
    (void)*byte;
  }
  Deed deed;
  deed.done = true;
  deed.notice = is_open ? Notice::kLater : Notice::kNow;
  deed.expected = {bug,
                   is_open ? RF_ACCESS_WRITE : access_at_fault(write),
                   number(at),
                   number(victim_.ptr),
                   victim_.size,
                   is_open ? size_t{1} : size_t{0},
                   !is_open,
                   false,
                   0};
  return deed;
}

// Relative to an edge of the block: at it, at either side of the first closed page, or anywhere.
size_t PageError::choose_distance(size_t slack) const {
  switch (trigger_ / 3 % 6) {
  case 0:
    return 0;
  case 1:
    return slack != 0 ? slack - 1 : 0;
  case 2:
    return slack;
  case 3:
    return slack != 0 ? where_ % slack : 0;
  default:
    return where_ % (slack + reach());
  }
}

PageError::Deed PageError::touch_behind() {
  uintptr_t const end = number(victim_.ptr) + victim_.size;
  size_t const slack = open_end() - end;
  size_t const distance = choose_distance(slack);
  bool const sure = sizeof(void *) == 8 || slack + reach() < page_size() / 2;
  if (!sure && distance >= slack) {
    return {};
  }
  return touch(victim_.ptr + victim_.size + distance, distance < slack, RF_BUG_BUFFER_OVERFLOW);
}

PageError::Deed PageError::touch_before() {
  size_t const slack = victim_.size == 0 ? 0 : number(victim_.ptr) - open_start();
  size_t const distance = 1 + choose_distance(slack);
  bool const sure = sizeof(void *) == 8 || slack + reach() < page_size() / 2;
  if (!sure && distance > slack) {
    return {};
  }
  return touch(victim_.ptr - distance, distance <= slack, RF_BUG_BUFFER_UNDERFLOW);
}

PageError::Deed PageError::touch_freed() {
  if (victim_.size == 0) {
    return {};
  }
  rf_free(paged_.allocator, victim_.ptr);
  Deed deed = touch(victim_.ptr + where_ % victim_.size, false, RF_BUG_USE_AFTER_FREE);
  deed.expected.freed = true;
  deed.victim_lives = false;
  return deed;
}

PageError::Deed PageError::touch_beside_freed() {
  rf_free(paged_.allocator, victim_.ptr);
  size_t const distance = where_ % (page_size() / 4);
  bool const behind = trigger_ % 2 == 0;
  unsigned char *const at = behind ? victim_.ptr + victim_.size + distance : victim_.ptr - 1 - distance;
  bool const in_its_pages = number(at) >= open_start() && number(at) < open_end();
  Deed deed = touch(at, false,
                    in_its_pages ? RF_BUG_USE_AFTER_FREE
                    : behind     ? RF_BUG_BUFFER_OVERFLOW
                                 : RF_BUG_BUFFER_UNDERFLOW);
  deed.expected.freed = true;
  deed.victim_lives = false;
  return deed;
}

PageError::Deed PageError::misuse(rf_bug bug, const void *ptr) const {
  Deed deed;
  deed.done = true;
  deed.expected = {bug, RF_ACCESS_FREE, number(ptr), number(victim_.ptr), victim_.size, 0, false, false, 0};
  return deed;
}

// Hands the pointer to free, realloc or resize.
void PageError::hand_in(void *ptr) {
  if (verb_ % 3 == 0) {
    rf_free(paged_.allocator, ptr);
  } else if (verb_ % 3 == 1) {
    (void)rf_realloc(paged_.allocator, ptr, trigger_);
  } else {
    (void)rf_resize(paged_.allocator, ptr, trigger_ + 1);
  }
}

PageError::Deed PageError::double_free() {
  rf_free(paged_.allocator, victim_.ptr);
  hand_in(victim_.ptr);
  Deed deed = misuse(RF_BUG_DOUBLE_FREE, victim_.ptr);
  deed.expected.freed = true;
  deed.victim_lives = false;
  return deed;
}

PageError::Deed PageError::interior_free() {
  if (victim_.size < 2) {
    return {};
  }
  unsigned char *const ptr = victim_.ptr + 1 + where_ % (victim_.size - 1);
  hand_in(ptr);
  Deed deed = misuse(RF_BUG_BAD_FREE, ptr);
  deed.expected.cwe = 761;
  return deed;
}

PageError::Deed PageError::beside_free() {
  unsigned char *const ptr = victim_.ptr + victim_.size + 1 + where_ % (page_size() / 4);
  if (sizeof(void *) == 4 && number(ptr) >= open_end()) {
    return {};
  }
  hand_in(ptr);
  return misuse(RF_BUG_BAD_FREE, ptr);
}

PageError::Deed PageError::foreign_free() {
  alignas(RF_ALIGN_DEFAULT) static unsigned char object[512];
  unsigned char *const ptr = object + 128 + where_ % 256;
  if (verb_ % 2 == 0) { // some inner heaps have no resize
    rf_free(paged_.allocator, ptr);
  } else {
    (void)rf_realloc(paged_.allocator, ptr, trigger_);
  }
  Deed deed = misuse(RF_BUG_BAD_FREE, ptr);
  deed.expected.block = 0;
  deed.expected.size = 0;
  return deed;
}

// Frees all other blocks.
PageError::Deed PageError::leak() {
  if (!paged_.finds_leaks) {
    return {};
  }
  Deed deed = misuse(RF_BUG_LEAK, victim_.ptr);
  deed.expected.access = RF_ACCESS_UNKNOWN;
  deed.notice = Notice::kAtEnd;
  deed.victim_lives = false;
  return deed;
}

PageError::Deed PageError::too_big() {
  size_t const size = SIZE_MAX - where_;
  (void)rf_alloc(paged_.allocator, size);
  Deed deed = misuse(RF_BUG_SIZE_TOO_BIG, nullptr);
  deed.expected.access = RF_ACCESS_UNKNOWN;
  deed.expected.block = 0;
  deed.expected.size = size;
  return deed;
}

PageError::Deed PageError::calloc_overflow() {
  size_t const size = SIZE_MAX / 2 + 1 + where_;
  (void)rf_calloc(paged_.allocator, 2 + trigger_, size);
  Deed deed = misuse(RF_BUG_CALLOC_OVERFLOW, nullptr);
  deed.expected.access = RF_ACCESS_UNKNOWN;
  deed.expected.block = 0;
  deed.expected.size = size;
  return deed;
}

PageError::Deed PageError::bad_alignment() {
  (void)rf_aligned_alloc(paged_.allocator, 3 + 2 * where_, trigger_);
  Deed deed = misuse(RF_BUG_BAD_ALIGNMENT, nullptr);
  deed.expected.access = RF_ACCESS_UNKNOWN;
  deed.expected.block = 0;
  deed.expected.size = trigger_;
  return deed;
}

PageError::Deed PageError::reentry() {
  if (!paged_.finds_reentry) {
    return {};
  }
  auto const visit = [](const rf_block *block, void *context) {
    auto *const self = static_cast<PageError *>(context);
    if (block->used && block->ptr == self->victim_.ptr) {
      self->hand_in(block->ptr);
    }
    return true;
  };
  (void)rf_walk(paged_.allocator, visit, this);
  Deed deed = misuse(RF_BUG_REENTRY, victim_.ptr);
  deed.expected.access = RF_ACCESS_UNKNOWN;
  deed.expected.block = 0;
  deed.expected.size = 0;
  return deed;
}

// ---- Before and after ----

void PageError::wind_up(Shadow &shadow, const Deed &deed) {
  for (size_t i = 0; i < shadow.count(); i++) {
    const Block &block = shadow.nth(i);
    if (block.id != victim_.id || deed.victim_lives) {
      rf_free(paged_.allocator, block.ptr);
    }
  }
  rf_deinit(paged_.allocator);
}

void PageError::commit(Interpreter &program) {
  Verdict &verdict = program.verdict();
  if (!verdict.ok() || !program.settle_all(0)) {
    return;
  }
  if (!choose_victim(program)) {
    if (verdict.ok()) {
      program.finish();
    }
    return;
  }
  verdict.begin("%s: p%u, %zu bytes at %p", kind().name, victim_.id, victim_.size, static_cast<void *>(victim_.ptr));
  Deed const deed = act();
  size_t const now = deed.done && deed.notice == Notice::kNow ? 1 : 0;
  if (paged_.log->count() != now) {
    verdict.fail("finding", "%zu findings after the error, not %zu", paged_.log->count(), now);
    return;
  }
  if (!deed.done) {
    program.finish();
    return;
  }
  if (deed.notice == Notice::kLater && trigger_ % 3 == 0) {
    paged_.sweep();
    if (paged_.log->count() != 1) {
      verdict.fail("finding", "%zu findings after the sweep, not 1", paged_.log->count());
      return;
    }
  }
  wind_up(program.shadow(), deed);
  compare(verdict, deed);
}

// ---- Comparing ----

bool PageError::compare(Verdict &verdict, const Deed &deed) const {
  if (paged_.log->count() != 1) {
    return verdict.fail("finding", "%zu findings in the end, not 1; the last one is %s", paged_.log->count(),
                        paged_.log->findings().empty() ? "none" : rf_bug_name(paged_.log->findings().back().bug));
  }
  const rf_finding &f = paged_.log->findings().front();
  return compare_kind(verdict, f, deed.expected) && compare_place(verdict, f, deed.expected);
}

bool PageError::compare_kind(Verdict &verdict, const rf_finding &f, const Expected &expected) const {
  unsigned const cwe = expected.cwe != 0 ? expected.cwe : rf_bug_cwe(expected.bug, expected.access);
  if (f.bug != expected.bug || f.cwe != cwe || f.access != expected.access || f.freed != expected.freed ||
      f.at_access != expected.at_access) {
    return verdict.fail("finding",
                        "%s (CWE %u, access %d, freed %d, at it %d), not %s (CWE %u, access %d, freed %d, at it %d)",
                        rf_bug_name(f.bug), f.cwe, f.access, f.freed, f.at_access, rf_bug_name(expected.bug), cwe,
                        expected.access, expected.freed, expected.at_access);
  }
  return (f.sequence == 1 && f.allocator != nullptr && strcmp(f.mode, paged_.mode) == 0) ||
         verdict.fail("finding", "%s with sequence %zu, mode %s", rf_bug_name(f.bug), static_cast<size_t>(f.sequence),
                      f.mode);
}

bool PageError::compare_place(Verdict &verdict, const rf_finding &f, const Expected &expected) const {
  if (f.address != expected.address || f.block != expected.block || f.size != expected.size ||
      f.access_size != expected.access_size) {
    return verdict.fail("finding", "%s of %zu at %#zx, block %#zx of %zu, not of %zu at %#zx, block %#zx of %zu",
                        rf_bug_name(f.bug), f.access_size, static_cast<size_t>(f.address), static_cast<size_t>(f.block),
                        f.size, expected.access_size, static_cast<size_t>(expected.address),
                        static_cast<size_t>(expected.block), expected.size);
  }
  if (f.block != 0 && f.offset != static_cast<ptrdiff_t>(f.address - f.block)) {
    return verdict.fail("finding", "%s at offset %td", rf_bug_name(f.bug), f.offset);
  }
  bool const of_victim = victim_is_fresh_ && f.block == number(victim_.ptr);
  return !of_victim || f.allocated.site == &kSite ||
         verdict.fail("finding", "%s without the place of the allocation", rf_bug_name(f.bug));
}

void commit_one_error(const Paged &paged, const rf_fuzz_target &target, Reader &reader) {
  PageError error(paged, reader);
  size_t steps = reader.u8();
  Interpreter program(target, reader, Conduct::kCorrect);
  if (program.start()) {
    while (steps-- != 0 && program.step()) {
    }
    error.commit(program);
  }
  demand_ok(target, program.verdict());
}

} // namespace ringfence::fuzz

// The checker judges faults; std answers large requests with NULL.
extern "C" const char *__asan_default_options() {
  return "allocator_may_return_null=1:handle_segv=0:handle_sigbus=0";
}

extern "C" const char *__tsan_default_options() {
  return "allocator_may_return_null=1";
}
