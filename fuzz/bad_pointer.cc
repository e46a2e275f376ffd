#include <ringfence/fuzz/bad_pointer.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace ringfence::fuzz {
namespace {

BadPointer in_block(const Block &block, size_t offset, bool may_be_start, const char *kind) {
  return {block.ptr + offset, may_be_start, "(char *)p", block.id, static_cast<ptrdiff_t>(offset), kind};
}

BadPointer anywhere(void *ptr, const char *kind) {
  return {ptr, false, "(char *)NULL", 0, reinterpret_cast<ptrdiff_t>(ptr), kind};
}

std::optional<BadPointer> foreign(Reader &reader, const Memory &memory) {
  alignas(RF_ALIGN_DEFAULT) static unsigned char object[5120];
  size_t const where = reader.u8();
  if (where % 2 == 0) {
    return anywhere(object + 64 + where * RF_ALIGN_DEFAULT, "a static object");
  }
  unsigned char *const data = memory.regions().front().data;
  unsigned char *const before = data + rf_align_gap(data, RF_ALIGN_DEFAULT) - (1 + where) * RF_ALIGN_DEFAULT;
  return anywhere(before, "before the arena");
}

std::optional<BadPointer> wild(Reader &reader) {
  size_t const where = reader.u8();
  size_t const distance = (1 + where) * RF_ALIGN_DEFAULT;
  return where % 2 == 0 ? anywhere(reinterpret_cast<void *>(distance), "near 0")
                        : anywhere(reinterpret_cast<void *>(0 - distance), "near the top");
}

std::optional<BadPointer> misaligned(Reader &reader, Shadow &shadow) {
  size_t const off = 1 + reader.below(RF_ALIGN_DEFAULT - 1);
  if (shadow.count() == 0) {
    return std::nullopt;
  }
  Block const &block = shadow.nth(reader.below(shadow.count()));
  if (shadow.starts_block(block.ptr + off)) {
    return std::nullopt;
  }
  bool const may_be_start = off >= block.size; // of the next block, where blocks are closer than RF_ALIGN_DEFAULT
  return in_block(block, off, may_be_start, "misaligned");
}

std::optional<BadPointer> interior(Reader &reader, Shadow &shadow, bool stale_records) {
  size_t const distance = reader.u16();
  if (shadow.count() == 0) {
    return std::nullopt;
  }
  Block const &block = shadow.nth(reader.below(shadow.count()));
  size_t const steps = (block.size > 0 ? block.size - 1 : 0) / RF_ALIGN_DEFAULT;
  if (steps == 0) {
    return std::nullopt;
  }
  size_t const off = (1 + distance % steps) * RF_ALIGN_DEFAULT;
  return in_block(block, off, stale_records, "interior");
}

// An address behind a copy of the header of a live block: a valid header in the wrong place.
std::optional<BadPointer> forged(Reader &reader, Shadow &shadow, const Memory &memory) {
  constexpr size_t kCopied = 16;
  size_t const distance = reader.u16();
  if (shadow.count() == 0) {
    return std::nullopt;
  }
  Block const &model = shadow.nth(reader.below(shadow.count()));
  Block &block = shadow.nth(reader.below(shadow.count()));
  size_t const steps = (block.size > 0 ? block.size - 1 : 0) / RF_ALIGN_DEFAULT;
  size_t const first = (kCopied + RF_ALIGN_DEFAULT - 1) / RF_ALIGN_DEFAULT;
  if (steps < first) {
    return std::nullopt;
  }
  size_t const off = (first + distance % (steps - first + 1)) * RF_ALIGN_DEFAULT;
  size_t const region = memory.region_of(model.ptr);
  bool const in_region = region < memory.regions().size();
  size_t const before = in_region ? static_cast<size_t>(model.ptr - memory.regions()[region].data) : kCopied;
  size_t const copied = std::min(before, kCopied);
  shadow.write(block, off - kCopied);
  memcpy(block.ptr + off - copied, model.ptr - copied, copied);
  return in_block(block, off, false, "behind a copied header");
}

std::optional<BadPointer> repeated(Reader &reader, const Shadow &shadow) {
  size_t const choice = reader.u8();
  if (shadow.stale_count() == 0) {
    return std::nullopt;
  }
  BadPointer bad = anywhere(shadow.stale(choice % shadow.stale_count()), "freed before");
  bad.may_be_start = true;
  return bad;
}

std::optional<BadPointer> in_arena(Reader &reader, const Shadow &shadow, const Memory &memory) {
  const Memory::Region &region = memory.regions()[reader.below(memory.regions().size())];
  size_t const steps = region.size / RF_ALIGN_DEFAULT + 1;
  unsigned char *const start = region.data + rf_align_gap(region.data, RF_ALIGN_DEFAULT);
  unsigned char *const ptr = start + reader.below(steps) * RF_ALIGN_DEFAULT;
  if (shadow.starts_block(ptr)) {
    return std::nullopt;
  }
  return BadPointer{ptr, true, "(char *)arena", 0, ptr - memory.regions().front().data, "no block"};
}

} // namespace

std::optional<BadPointer> choose_bad_pointer(Reader &reader, const rf_fuzz_target &target, Shadow &shadow,
                                             const Memory &memory) {
  unsigned const kind = 1U << reader.below(RF_FUZZ_BAD_KINDS);
  switch (target.refuses & kind) {
  case RF_FUZZ_FOREIGN:
    return foreign(reader, memory);
  case RF_FUZZ_WILD:
    return wild(reader);
  case RF_FUZZ_MISALIGNED:
    return misaligned(reader, shadow);
  case RF_FUZZ_INTERIOR:
    return interior(reader, shadow, target.stale_records);
  case RF_FUZZ_REPEATED:
    return repeated(reader, shadow);
  case RF_FUZZ_IN_ARENA:
    return in_arena(reader, shadow, memory);
  case RF_FUZZ_FORGED:
    return forged(reader, shadow, memory);
  default:
    return std::nullopt;
  }
}

} // namespace ringfence::fuzz
