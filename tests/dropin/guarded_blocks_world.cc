#include "tests/dropin/guarded_blocks_world.h"

#include "tests/dropin/alone.h"

#include <algorithm>

namespace ringfence_test {

World world;
int the_reporter;
rf_stack_depot depot;
char bytes[4];

rf_page_store *store_of_test() {
  static int the_store;
  return reinterpret_cast<rf_page_store *>(&the_store);
}

} // namespace ringfence_test

using namespace ringfence_test;

extern "C" {

// ---- The process ----

rf_process_state rf_process;
rf_steering rf_steering_now;
RF_THREAD_LOCAL rf_thread rf_current_thread;
uint32_t rf_forbidden_calls;
rf_runtime rf_runtimes[RF_RUNTIMES];
extern const uintptr_t rf_page_debugger[] = {1};
extern const uintptr_t rf_heap_debugger[] = {1};
rf_stop_state rf_stop_now;

// The linker puts these in front of those of //checkers and //lib/port.
uint64_t __wrap_rf_port_now_ns(void);
int __wrap_getrlimit(int resource, struct rlimit *out);
uintptr_t __wrap_rf_host_secret(void);
void __wrap_rf_options_keep_sites(rf_stack_depot *of);

int __wrap_getrlimit(int resource, struct rlimit *out) {
  out->rlim_cur = resource == RLIMIT_AS ? world.space : 0;
  return 0;
}

uint64_t __wrap_rf_port_now_ns() {
  return world.now;
}

uintptr_t __wrap_rf_host_secret() {
  return kSecret;
}

void __wrap_rf_options_keep_sites(rf_stack_depot *of) {
  world.sites_kept += of == &depot ? 1 : 0;
}

uint32_t rf_thread_id() {
  world.ids++;
  return 1;
}

rf_cache *rf_enter_slow() {
  world.enters++;
  return world.cache;
}

void rf_leave_slow(rf_cache *cache) {
  world.leaves.push_back(cache);
}

void rf_signals_freed(uintptr_t block, size_t size) {
  world.signals_freed.emplace_back(block, size);
}

void rf_pages_move(void * /*to*/, void * /*from*/, size_t size) {
  world.calls.emplace_back("move");
  world.moved.push_back(size);
}

void rf_tag_faults_watch() {
  world.tag_watches++;
}

const rf_origin *rf_caller_unwind(const rf_origin *origin, rf_caller_trace *called) {
  world.unwound++;
  called->origin = *origin;
  called->origin.caller++;
  return &called->origin;
}

// ---- Steering and sites ----

bool rf_steer_paces() {
  return world.paces;
}

rf_steer_turn rf_steer_look(int32_t *left) {
  world.looks++;
  if (world.in_look) {
    std::exchange(world.in_look, nullptr)();
  }
  if (world.turn == RF_STEER_WAIT) {
    *left = 99;
  }
  return world.turn;
}

void rf_steer_tick() {
  world.ticks++;
}

int32_t rf_steer_stretch(int32_t drawn) {
  return std::min(drawn, world.stretch);
}

uint32_t rf_steer_raise() {
  return world.raise;
}

bool rf_site_is_limited() {
  return world.sites_limited;
}

uint32_t rf_site_key(const rf_origin *origin) {
  return kKey + static_cast<uint32_t>(origin->caller - kCaller);
}

bool rf_site_may_be_watched(uint32_t key, uintptr_t caller) {
  world.asked_may.emplace_back(key, caller);
  return world.may_be_watched;
}

bool rf_site_wants(uint32_t key, uint32_t one_in) {
  world.asked_wants.emplace_back(key, one_in);
  return world.wanted;
}

void rf_watched_sites_begin(const char *folder) {
  world.folder = folder;
}

bool rf_watched_sites_add(uint32_t key) {
  world.added += key == kKey ? 1 : 0;
  return world.is_new;
}

void rf_watched_sites_inherit() {
  world.inherits++;
}

// ---- The share of the processor time ----

void rf_page_time_begin(unsigned percent) {
  world.percent = percent;
  world.time_limited = percent < 100;
}

bool rf_page_time_is_limited() {
  return world.time_limited;
}

bool rf_page_time_left() {
  return world.time_left;
}

uint64_t rf_page_time_enter() {
  return ++world.entered;
}

void rf_page_time_leave(uint64_t entered) {
  world.calls.emplace_back("leave");
  world.left.push_back(entered);
}

void rf_page_time_forked() {
  world.time_forks++;
}

// ---- The store ----

rf_page_store *rf_page_store_open(const rf_page_store_options *options) {
  world.opened++;
  world.options = *options;
  return world.has_store ? store_of_test() : nullptr;
}

bool rf_page_store_reserve(rf_page_store * /*store*/) {
  world.reserved++;
  return true;
}

bool rf_page_store_owns(const rf_page_store * /*store*/, const void *ptr) {
  return ptr >= bytes && ptr < bytes + sizeof bytes;
}

void *rf_page_store_alloc(rf_page_store * /*store*/, const rf_page_request *request, const rf_origin *origin) {
  world.calls.emplace_back("alloc");
  world.request = *request;
  world.origin = origin;
  return world.next;
}

rf_status rf_page_store_free(rf_page_store * /*store*/, void *ptr, rf_family family, size_t size,
                             const rf_origin *origin, rf_page_block *freed) {
  world.calls.emplace_back("free");
  world.family = family;
  world.freed_size = size;
  world.origin = origin;
  *freed = world.blocks[ptr];
  return world.freed;
}

bool rf_page_store_find(rf_page_store * /*store*/, const void *ptr, rf_page_block *out) {
  *out = {};
  out->size = 12345; // of no meaning
  if (world.blocks.count(ptr) == 0) {
    return false;
  }
  *out = world.blocks[ptr];
  return true;
}

rf_status rf_page_store_refuse(rf_page_store * /*store*/, void * /*ptr*/, const rf_origin *origin) {
  world.calls.emplace_back("refuse");
  world.origin = origin;
  return RF_ERR_INVALID;
}

void rf_page_store_tell_of(const rf_page_store * /*store*/, const void *ptr, rf_finding *f) {
  f->block = reinterpret_cast<uintptr_t>(ptr);
}

bool rf_page_store_ends_as_well(const rf_page_store * /*store*/, size_t /*old_size*/, size_t /*size*/) {
  return world.ends_as_well;
}

rf_status rf_page_store_resize(rf_page_store * /*store*/, void * /*ptr*/, size_t /*size*/,
                               const rf_origin * /*origin*/) {
  world.calls.emplace_back("resize");
  return world.resized;
}

void rf_page_store_return_rights(const rf_page_store * /*store*/, const void * /*ptr*/) {
  world.calls.emplace_back("rights");
}

size_t rf_page_store_sweep(rf_page_store * /*store*/, uint64_t budget_ns, const rf_origin *origin) {
  world.budget = budget_ns;
  world.origin = origin;
  return 3;
}

void rf_page_store_figures(rf_page_store * /*store*/, rf_page_figures *out) {
  out->counters.allocations = world.served;
  out->declined = 5;
}

void rf_page_store_figures_unlocked(const rf_page_store * /*store*/, rf_page_figures *out) {
  out->counters.allocations = world.served;
  out->declined = 6;
}

void rf_page_store_watch(const rf_page_store * /*store*/) {
  world.watches++;
}
}

namespace ringfence_test {

void in_process(rf_mode mode, const std::function<void(rf_options &)> &test) {
  ringfence_test::alone([&] {
    rf_options &o = rf_process.options;
    o.mode = mode;
    o.signals = true;
    o.sample_rate = 16;
    o.watch = 16;
    o.sample_slots = 64;
    o.align = RF_PAGE_BOTH;
    o.closed = 1 << 20;
    o.fill_alloc = 4096;
    o.page_memory = 1 << 24;
    o.page_seed = 77;
    o.page_time = 100;
    test(o);
  });
}

void begin() {
  rf_guarded_blocks_begin(&rf_process.options, &depot, reinterpret_cast<rf_reporter *>(&the_reporter));
}

void begun(rf_mode mode, const std::function<void()> &test) {
  in_process(mode, [&](rf_options &) {
    begin();
    test();
  });
}

void become_new_thread() {
  rf_guarded_blocks_pick = {};
  rf_guarded_blocks_left = 0;
}

bool allocates() {
  return !rf_guarded_blocks_passes() && rf_guarded_blocks_due(&kOrigin);
}

bool is_looked_at() {
  rf_guarded_blocks_left = 2;
  depot.added();
  return allocates();
}

unsigned first_of_new_thread() {
  become_new_thread();
  unsigned number = 1;
  while (!allocates() && number < 10000) {
    number++;
  }
  return number;
}

unsigned looks_at_once() {
  unsigned count = 0;
  while (count < 100 && is_looked_at()) {
    count++;
  }
  return count;
}

} // namespace ringfence_test
