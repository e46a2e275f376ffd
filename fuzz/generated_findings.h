// Findings as the library makes them, with awkward names and any numbers: for fuzzers of what becomes of findings.
#ifndef RINGFENCE_FUZZ_GENERATED_FINDINGS_H
#define RINGFENCE_FUZZ_GENERATED_FINDINGS_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <ringfence/finding.h>
#include <ringfence/frames.h>
#include <ringfence/fuzz/reader.h>
#include <string>

namespace ringfence::fuzz {

// Valid UTF-8 without NUL, of awkward characters: quotes, tags, control characters, other scripts.
inline std::string a_text(Reader &in) {
  static const std::array<const char *, 12> pieces = {
      "main",         "operator<<",       "\"", "\\", "<b>&", "\x01", "\x7F", "\xC3\xA4",
      "\xE2\x80\xAE", "\xF0\x9F\x90\x9B", "\n", " "};
  std::string out;
  for (size_t left = in.below(6); left != 0; left--) {
    size_t const piece = in.below(pieces.size() + 4);
    out +=
        piece < pieces.size() ? std::string(pieces[piece]) : std::string(in.below(40), static_cast<char>('a' + piece));
  }
  return out;
}

inline uint64_t a_number(Reader &in) {
  uint64_t value = 0;
  for (size_t bytes = in.below(9); bytes != 0; bytes--) {
    value = value << 8 | in.u8();
  }
  return value;
}

struct Name {
  std::string module, build_id, function, file;
  uint64_t offset;
  unsigned line;
  unsigned inlined;
  bool known;
};

class Findings {
public:
  explicit Findings(Reader &in) : in_(in) {
    for (std::string &text : texts_) {
      text = "t" + a_text(in_);
    }
    for (rf_site &site : sites_) {
      site = {texts_[in_.below(texts_.size())].c_str(), texts_[in_.below(texts_.size())].c_str(), in_.u16()};
    }
  }

  // Numbers count up, as a reporter's do.
  rf_finding next() {
    rf_finding f = {};
    f.bug = static_cast<rf_bug>(in_.below(RF_BUG_COUNT));
    f.cwe = in_.u16();
    f.access = static_cast<rf_access>(in_.below(4));
    f.access_size = static_cast<size_t>(a_number(in_));
    f.at_access = in_.u8() % 4 == 1;
    f.address = static_cast<uintptr_t>(a_number(in_));
    f.block = static_cast<uintptr_t>(a_number(in_));
    f.size = static_cast<size_t>(a_number(in_));
    if (f.block != 0) { // written only with a block
      f.blocks = static_cast<size_t>(a_number(in_));
      f.freed = in_.u8() % 2 == 1;
      f.offset = static_cast<ptrdiff_t>(a_number(in_));
    }
    f.argument = in_.u8() % 4 == 1 ? static_cast<size_t>(a_number(in_)) : 0;
    f.allocator = maybe();
    f.mode = maybe();
    if (f.cwe == 0 && f.allocator == nullptr && f.mode == nullptr) {
      f.mode = "guard"; // guard_small alone leaves all three out, and readers work them out
    }
    f.detail = maybe();
    f.allocation = maybe();
    f.deallocation = maybe();
    fill(&f.found, true);
    fill(&f.allocated, in_.u8() % 2 == 1);
    fill(&f.released, in_.u8() % 4 == 1);
    fill_window(&f);
    f.time_ns = a_number(in_);
    f.sequence = ++sequence_;
    f.process = in_.u16();
    return f;
  }

  rf_symbolizer symbolizer() { return {name, this}; }

private:
  const char *maybe() {
    size_t const which = in_.below(2 * texts_.size());
    return which < texts_.size() ? texts_[which].c_str() : nullptr;
  }

  void fill(rf_trace *t, bool known) {
    if (!known) {
      return;
    }
    size_t const site = in_.below(2 * sites_.size());
    t->thread = in_.u16();
    t->site = site < sites_.size() ? &sites_[site] : nullptr;
    t->depth = static_cast<unsigned>(in_.below(in_.u8() % 8 == 7 ? RF_TRACE_DEPTH + 1 : 5));
    for (unsigned i = 0; i < t->depth; i++) {
      t->frames[i] = 0x1000 + 16 * in_.below(64);
      know(t->frames[i]);
    }
    if (t->site == nullptr && t->depth == 0) {
      t->thread = 0; // not written for an unknown trace
    }
  }

  void know(uintptr_t pc) {
    if (names_.count(pc) != 0) {
      return;
    }
    Name &n = names_[pc];
    n.known = in_.u8() % 4 != 0;
    n.module = n.known ? "/" + a_text(in_) : "";
    n.build_id = n.module.size() % 2 == 1 ? "c0ffee" : ""; // each module has one
    n.offset = a_number(in_);
    n.function = in_.u8() % 2 == 1 ? "f" + a_text(in_) : "";
    n.file = in_.u8() % 2 == 1 ? a_text(in_) + ".c" : "";
    n.line = n.file.empty() ? 0 : in_.u16();
    n.inlined = static_cast<unsigned>(in_.below(3));
  }

  static bool name(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
    auto *const self = static_cast<Findings *>(context);
    *out = {};
    auto const found = self->names_.find(pc);
    if (found == self->names_.end() || !found->second.known || inlined > found->second.inlined) {
      return false;
    }
    const Name &n = found->second;
    out->module = n.module.c_str();
    out->build_id = n.build_id.empty() ? nullptr : n.build_id.c_str();
    out->offset = n.offset;
    out->function = n.function.empty() && inlined == 0 ? nullptr : n.function.c_str();
    out->file = n.file.empty() ? nullptr : n.file.c_str();
    out->line = n.line;
    return true;
  }

  void fill_window(rf_finding *f) {
    f->window_size = in_.u8() % 2 == 1 ? static_cast<unsigned>(in_.below(RF_WINDOW + 1)) : 0;
    f->window_address = f->window_size == 0 ? 0 : static_cast<uintptr_t>(a_number(in_));
    for (unsigned i = 0; i < f->window_size; i++) {
      f->window[i] = in_.u8();
      f->expected[i] = in_.u8();
      f->window_class[i] = static_cast<unsigned char>(f->window[i] % (RF_BYTE_BAD + 1));
    }
  }

  Reader &in_;
  std::array<std::string, 4> texts_;
  std::array<rf_site, 3> sites_{};
  std::map<uintptr_t, Name> names_;
  uint64_t sequence_ = 0;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_GENERATED_FINDINGS_H
