// One finding with everything in it, made by hand, and a symbolizer for its frames: what the renderers are compared by.
#ifndef RINGFENCE_TESTS_CHECKERS_SAMPLE_FINDING_H
#define RINGFENCE_TESTS_CHECKERS_SAMPLE_FINDING_H

#include <ringfence/finding.h>
#include <ringfence/frames.h>
#include <ringfence/sink.h>

#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

namespace ringfence {

inline const rf_site kSampleSite = {"demo.c", "open_log", 12};

// Three bytes written past a block of 13, noticed by free.
inline rf_finding sample_finding() {
  rf_finding f = {};
  f.bug = RF_BUG_BUFFER_OVERFLOW;
  f.cwe = 122;
  f.access = RF_ACCESS_WRITE;
  f.access_size = 3;
  f.block = 0x1050;
  f.size = 13;
  f.blocks = 1;
  f.offset = 14;
  f.address = 0x105E;
  f.window_address = 0x1048;
  f.window_size = 36;
  for (unsigned i = 0; i < f.window_size; i++) {
    bool const user = i >= 8 && i < 21;
    bool const bad = i == 22 || i == 24;
    f.expected[i] = user ? static_cast<unsigned char>('a' + i - 8) : 0xFD;
    f.window[i] = bad ? 0x00 : f.expected[i];
    f.window_class[i] = bad ? RF_BYTE_BAD : user ? RF_BYTE_USER : RF_BYTE_GUARD;
  }
  f.allocator = "tlsf";
  f.mode = "guard";
  f.detail = "guard bytes after the block were overwritten";
  f.found.thread = 4242;
  f.found.depth = 3;
  f.found.frames[0] = 0x401136;
  f.found.frames[1] = 0x401180;
  f.found.frames[2] = 0x7024A;
  f.allocated.thread = 4250;
  f.allocated.site = &kSampleSite;
  f.time_ns = 1234567890;
  f.sequence = 1;
  f.process = 4242;
  return f;
}

// 0x401136 is in a function that was inlined into another; 0x401180 has a name only; 0x7024a a module only.
inline bool sample_name(void *, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
  *out = {};
  out->module = pc == 0x7024A ? "/lib/libc.so.6" : "/home/user/demo";
  out->build_id = pc == 0x7024A ? nullptr : "117750dd";
  out->offset = pc == 0x7024A ? 0x2724A : pc - 0x400000;
  if (pc == 0x401136 && inlined < 2) {
    out->function = inlined == 0 ? "close_log" : "finish";
    out->file = "demo.c";
    out->line = inlined == 0 ? 21 : 30;
    out->column = inlined == 0 ? 3 : 0;
    return true;
  }
  if (pc == 0x401180) {
    out->function = "main";
  }
  return inlined == 0 && pc != 0x401136;
}

inline const rf_symbolizer kSampleSymbolizer = {sample_name, nullptr};

// Collects what a renderer writes.
class TextSink {
public:
  const rf_sink *sink() const { return &sink_; }
  const std::string &text() const { return text_; }

private:
  static void write(void *context, const char *text, size_t size) {
    static_cast<TextSink *>(context)->text_.append(text, size);
  }

  std::string text_;
  rf_sink sink_ = {write, this};
};

// The fenced block after the comment that begins with `mark` in docs/checkers/findings.md.
inline std::string documented(const std::string &mark) {
  std::ifstream file("docs/checkers/findings.md");
  std::ostringstream whole;
  whole << file.rdbuf();
  std::string const text = whole.str();
  size_t const comment = text.find("<!-- " + mark + ":");
  size_t const fence = text.find("```", comment);
  size_t const start = text.find('\n', fence) + 1;
  return comment == std::string::npos ? "" : text.substr(start, text.find("```", start) - start);
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_SAMPLE_FINDING_H
