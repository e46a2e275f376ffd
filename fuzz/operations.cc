// The operations of the interpreter that a correct program makes: each takes its arguments from the input, makes the
// call, and hands the result to the judging functions.
#include <ringfence/fuzz/interpreter.h>

#include <algorithm>
#include <iterator>

namespace ringfence::fuzz {

namespace {

struct Weight {
  size_t weight;
  Interpreter::Operation operation;
};

template <size_t N> constexpr size_t sum(const Weight (&weights)[N]) {
  size_t total = 0;
  for (const Weight &entry : weights) {
    total += entry.weight;
  }
  return total;
}

Interpreter::Operation pick(const Weight *entry, size_t choice) {
  for (; choice >= entry->weight; entry++) {
    choice -= entry->weight;
  }
  return entry->operation;
}

} // namespace

// One byte chooses.
Interpreter::Operation Interpreter::choose_operation() {
  using I = Interpreter;
  static constexpr Weight kCorrect[] = {
      {38, &I::op_alloc},   {12, &I::op_aligned_alloc},  {8, &I::op_calloc},       {4, &I::op_alloc_hopeless},
      {26, &I::op_realloc}, {4, &I::op_realloc_to_zero}, {6, &I::op_realloc_null}, {4, &I::op_realloc_hopeless},
      {16, &I::op_resize},  {32, &I::op_free},           {12, &I::op_free_last},   {4, &I::op_free_null},
      {6, &I::op_write},    {4, &I::op_query},           {4, &I::op_walk_partly},  {8, &I::op_regions},
      {2, &I::op_free_all}, {2, &I::op_restart}};
  static constexpr Weight kMisuse[] = {{16, &I::op_bad_free},
                                       {8, &I::op_bad_realloc},
                                       {6, &I::op_bad_resize},
                                       {4, &I::op_bad_query},
                                       {5, &I::op_malformed_alloc},
                                       {4, &I::op_malformed_calloc},
                                       {4, &I::op_malformed_realloc},
                                       {3, &I::op_malformed_resize},
                                       {3, &I::op_malformed_region},
                                       {3, &I::op_use_ended},
                                       {8, &I::op_damage}};
  static_assert(sum(kCorrect) + sum(kMisuse) == UINT8_MAX + 1, "every byte is an operation");
  size_t const choice = reader_.u8();
  if (choice < sum(kCorrect)) {
    return pick(kCorrect, choice);
  }
  size_t const other = choice - sum(kCorrect);
  return conduct_ == Conduct::kAny ? pick(kMisuse, other) : pick(kCorrect, other);
}

// ---- Arguments ----

// Interesting sizes: small ones, the exact free amount, a byte more or less, the size of a neighbour.
size_t Interpreter::choose_size() {
  size_t const kind = reader_.u8() % 8;
  size_t const length = reader_.length();
  size_t size = length;
  if (kind == 5 || kind == 6) {
    size_t const largest = shadow_.stats(allocator_).largest_free;
    size = kind == 5 ? largest - std::min(length, largest) : largest + length % 17;
  } else if (kind == 7 && shadow_.count() != 0) {
    size = shadow_.nth(length % shadow_.count()).size;
  }
  return std::min(size, target_.max_request);
}

size_t Interpreter::choose_align() {
  size_t const choice = reader_.u8();
  return choice < 128 ? target_.default_align : size_t{1} << (choice < 250 ? choice % 13 : choice % 21);
}

size_t Interpreter::choose_bad_align() {
  size_t const choice = reader_.u8();
  size_t const bad[] = {0, 3, SIZE_MAX, SIZE_MAX / 2, choice * 2 + 1};
  size_t const align = bad[choice % std::size(bad)];
  return rf_is_pow2(align) ? 24 : align;
}

size_t Interpreter::choose_bad_size() {
  size_t const choice = reader_.u8();
  size_t const bad[] = {SIZE_MAX - choice, RF_SIZE_LIMIT + 1 + choice};
  return bad[choice % std::size(bad)];
}

// ---- Correct operations ----

void Interpreter::op_alloc() {
  if (shadow_.count() >= kMaxLive) {
    op_free();
    return;
  }
  size_t const size = choose_size();
  verdict_.begin("p%u = rf_alloc(a, %zu)", shadow_.next_id(), size);
  judge_allocation(rf_alloc(allocator_, size), size, target_.default_align, false);
}

void Interpreter::op_aligned_alloc() {
  if (shadow_.count() >= kMaxLive) {
    op_free();
    return;
  }
  size_t const align = choose_align();
  size_t const size = choose_size();
  verdict_.begin("p%u = rf_aligned_alloc(a, %zu, %zu)", shadow_.next_id(), align, size);
  judge_allocation(rf_aligned_alloc(allocator_, align, size), size, align, false);
}

void Interpreter::op_calloc() {
  if (shadow_.count() >= kMaxLive) {
    op_free();
    return;
  }
  size_t const count = reader_.below(16);
  size_t const size = choose_size() / std::max<size_t>(count, 1);
  verdict_.begin("p%u = rf_calloc(a, %zu, %zu)", shadow_.next_id(), count, size);
  judge_allocation(rf_calloc(allocator_, count, size), count * size, target_.default_align, true);
}

// Well-formed, but more than any memory holds, except that of the C library in a 32-bit process.
void Interpreter::op_alloc_hopeless() {
  if (!target_.in_arena && sizeof(size_t) < 8) {
    return;
  }
  size_t const size = RF_SIZE_LIMIT - reader_.u8();
  size_t const align = choose_align();
  verdict_.begin("p%u = rf_aligned_alloc(a, %zu, %zu)", shadow_.next_id(), align, size);
  judge_allocation(rf_aligned_alloc(allocator_, align, size), size, align, false);
}

void Interpreter::op_realloc() {
  if (shadow_.count() == 0) {
    return;
  }
  Block &block = choose_block();
  size_t const align = choose_align();
  size_t const size = std::max<size_t>(choose_size(), 1);
  verdict_.begin("p%u = rf_realloc_at(a, p%u, %zu, %zu, RF_HERE)", block.id, block.id, size, align);
  judge_realloc(block, rf_realloc_at(allocator_, block.ptr, size, align, RF_HERE), size, align);
}

void Interpreter::op_realloc_null() {
  if (shadow_.count() >= kMaxLive) {
    return;
  }
  size_t const size = choose_size();
  verdict_.begin("p%u = rf_realloc(a, NULL, %zu)", shadow_.next_id(), size);
  judge_allocation(rf_realloc(allocator_, nullptr, size), size, target_.default_align, false);
}

void Interpreter::op_realloc_to_zero() {
  if (shadow_.count() == 0) {
    return;
  }
  Block const block = choose_block();
  verdict_.begin("rf_realloc(a, p%u, 0)", block.id);
  if (!shadow_.verify_contents_of(block)) {
    return;
  }
  if (rf_realloc(allocator_, block.ptr, 0) != nullptr) {
    verdict_.fail("zero", "a realloc to 0 bytes did not give NULL");
    return;
  }
  shadow_.released(block);
  settle(0);
}

void Interpreter::op_realloc_hopeless() {
  if (shadow_.count() == 0 || (!target_.in_arena && sizeof(size_t) < 8)) {
    return;
  }
  Block &block = choose_block();
  size_t const align = choose_align();
  size_t const size = RF_SIZE_LIMIT - reader_.u8();
  verdict_.begin("p%u = rf_realloc_at(a, p%u, %zu, %zu, RF_HERE)", block.id, block.id, size, align);
  judge_realloc(block, rf_realloc_at(allocator_, block.ptr, size, align, RF_HERE), size, align);
}

void Interpreter::op_resize() {
  if (shadow_.count() == 0 || !resizes_) {
    return;
  }
  Block &block = choose_block();
  size_t const size = std::max<size_t>(choose_size(), 1);
  verdict_.begin("rf_resize(a, p%u, %zu)", block.id, size);
  rf_status const status = rf_resize(allocator_, block.ptr, size);
  verdict_.outcome("%s", rf_status_name(status));
  if (status == RF_OK) {
    if (shadow_.resized(block, block.ptr, size, 1)) {
      settle(0);
    }
    return;
  }
  bool const refused = status == RF_ERR_NO_MEMORY && !(target_.shrinks && size <= block.size);
  if (!refused && status != RF_ERR_UNSUPPORTED) {
    verdict_.fail("resize", "a resize from %zu to %zu bytes was answered with \"%s\"", block.size, size,
                  rf_status_name(status));
    return;
  }
  resizes_ = status != RF_ERR_UNSUPPORTED;
  settle_failure(0);
}

void Interpreter::op_free() {
  if (shadow_.count() != 0) {
    release(choose_block());
  }
}

void Interpreter::op_free_last() {
  if (shadow_.count() != 0) {
    release(shadow_.nth(shadow_.count() - 1));
  }
}

void Interpreter::op_free_null() {
  verdict_.begin("rf_free(a, NULL)");
  if (rf_free(allocator_, nullptr) != RF_OK) {
    verdict_.fail("free", "a free of NULL was refused");
    return;
  }
  settle_unchanged(0, "although NULL was freed");
}

// The owner may use every byte that usable_size gives, slack included.
void Interpreter::op_write() {
  if (shadow_.count() == 0) {
    return;
  }
  Block &block = choose_block();
  size_t const usable = rf_usable_size(allocator_, block.ptr);
  size_t const length = std::max(usable, block.size);
  verdict_.begin("memset(p%u, …, %zu)", block.id, length);
  if (allocator_->ops->usable_size != nullptr && usable < block.size) {
    verdict_.fail("usable", "usable_size is %zu for a block of %zu", usable, block.size);
    return;
  }
  if (target_.in_arena && !memory_.contains(block.ptr, length)) {
    verdict_.fail("usable", "usable_size is %zu, beyond the end of the arena", usable);
    return;
  }
  shadow_.write(block, length);
  settle_unchanged(0, "although only contents were written");
}

void Interpreter::op_query() {
  if (shadow_.count() == 0) {
    return;
  }
  const Block &block = choose_block();
  verdict_.begin("rf_owns(a, p%u)", block.id);
  if (target_.in_arena && allocator_->ops->owns != nullptr && !rf_owns(allocator_, block.ptr)) {
    verdict_.fail("owns", "the allocator does not own its block p%u", block.id);
    return;
  }
  if (rf_owns(allocator_, &block)) {
    verdict_.fail("owns", "the allocator owns an object that is not in its arena");
    return;
  }
  settle_unchanged(0, "although only a question was asked");
}

void Interpreter::op_walk_partly() {
  struct Walk {
    size_t left;
    size_t visited;
  } walk = {1 + reader_.below(16), 0};
  if (!walkable_ || (shadow_.fresh() && shadow_.state().blocks.size() < walk.left)) {
    return;
  }
  verdict_.begin("rf_walk(a, …), stopped after %zu", walk.left);
  rf_status const status = rf_walk(
      allocator_,
      [](const rf_block *, void *context) {
        auto *const counting = static_cast<Walk *>(context);
        return ++counting->visited < counting->left;
      },
      &walk);
  bool const stopped = walk.visited == walk.left || (!shadow_.fresh() && walk.visited < walk.left);
  if (status != RF_OK || !stopped) {
    verdict_.fail("walk", "it visited %zu blocks and answered \"%s\"", walk.visited, rf_status_name(status));
    return;
  }
  settle_unchanged(0, "although only a walk was made");
}

void Interpreter::op_regions() {
  size_t const index = reader_.below(memory_.regions().size());
  if (index == main_region_) {
    return;
  }
  if (!memory_.regions()[index].open) {
    add_region(index);
  } else if (target_.remove_region != nullptr) {
    remove_region(index);
  }
}

void Interpreter::add_region(size_t index) {
  memory_.open(index, reader_.u8());
  const Memory::Region &region = memory_.regions()[index];
  size_t const before = shadow_.stats(allocator_).capacity;
  verdict_.begin("add_region(a, arena %+td, %zu)", offset_of(region.data), region.size);
  rf_status const status = target_.add_region(target_.context, allocator_, region.data, region.size);
  verdict_.outcome("%s", rf_status_name(status));
  if (status != RF_OK) {
    memory_.close(index);
    if (region.size >= target_.min_arena) {
      verdict_.fail("region", "a region of %zu bytes was refused: \"%s\"", region.size, rf_status_name(status));
      return;
    }
    settle_unchanged(0, "although the region was refused");
    return;
  }
  extra_regions_.push_back(index);
  shadow_.regions_changed();
  if (settle(0) && shadow_.stats(allocator_).capacity <= before) {
    verdict_.fail("region", "the capacity did not grow");
  }
}

void Interpreter::remove_region(size_t index) {
  const Memory::Region &region = memory_.regions()[index];
  bool empty = true;
  for (size_t i = 0; i < shadow_.count(); i++) {
    const unsigned char *const ptr = shadow_.nth(i).ptr;
    empty = empty && (ptr < region.data || ptr > region.data + region.size);
  }
  verdict_.begin("remove_region(a, arena %+td)", offset_of(region.data));
  rf_status const status = target_.remove_region(target_.context, allocator_, region.data);
  verdict_.outcome("%s", rf_status_name(status));
  if (status != (empty ? RF_OK : RF_ERR_BUSY)) {
    verdict_.fail("region", "removing a region that is %s was answered with \"%s\"", empty ? "empty" : "in use",
                  rf_status_name(status));
    return;
  }
  if (!empty) {
    settle_unchanged(0, "although the region is in use");
    return;
  }
  memory_.close(index);
  extra_regions_.erase(std::find(extra_regions_.begin(), extra_regions_.end(), index));
  shadow_.regions_changed();
  settle(0);
}

void Interpreter::op_free_all() {
  if (free_all() && extra_regions_.empty() && target_.coalesces && settle_all(0)) {
    shadow_.verify_same_memory(pristine_, "coalescing", "after everything was freed");
  }
}

// Ends the allocator, with live blocks where that loses nothing, and makes it anew over the same dirty memory.
void Interpreter::op_restart() {
  bool const may_leave = target_.in_arena && conduct_ == Conduct::kAny;
  if ((may_leave || free_all()) && end_allocator()) {
    begin_again();
  }
}

void Interpreter::begin_again() {
  for (size_t const index : extra_regions_) {
    memory_.close(index);
  }
  extra_regions_.clear();
  verdict_.begin("init again");
  if (make_allocator()) {
    shadow_.verify_same_memory(pristine_, "init", "made anew over used memory");
  } else {
    verdict_.fail("init", "the arena was accepted once, and is refused now");
  }
}

} // namespace ringfence::fuzz
