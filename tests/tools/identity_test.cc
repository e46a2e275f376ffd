// The identity of a bug: names, the stacks that count, and the reasons.
#include "tools/ringfence/model/identity.h"

#include "tools/ringfence/model/function_name.h"

#include <array>
#include <cstring>
#include <gtest/gtest.h>
#include <string>

extern "C" {
#include "tools/ringfence/model/fingerprint.h"
}

namespace {

class Identity : public testing::Test {
protected:
  ~Identity() override { rf_bump_arena_free(&arena_); }

  const char *name(const char *given) { return rf_function_name(&arena_, given); }

  // "access; allocation; free": functions, innermost first. "module!hex" is a frame without a name.
  rf_identity of(const char *bug, const std::string &stacks, const char *extra = "", const char *folder = "/build/") {
    std::string json = R"({"type":"finding","bug":")" + std::string(bug) + "\"" + extra;
    static const char *const names[] = {"found", "allocated", "released"};
    size_t at = 0;
    for (int kind = 0; kind < 3 && at <= stacks.size(); kind++) {
      size_t const end = std::min(stacks.find(';', at), stacks.size());
      json +=
          R"(,")" + std::string(names[kind]) + R"(":{"frames":[)" + frames(stacks.substr(at, end - at), folder) + "]}";
      at = end + 1;
    }
    json += "}";
    const rf_json *const parsed = rf_json_parse(&arena_, json.c_str(), json.size());
    const rf_record *const record = parsed == nullptr ? nullptr : rf_record_read(&arena_, parsed);
    EXPECT_NE(record, nullptr) << json;
    return record == nullptr ? rf_identity{} : rf_identity_of(&arena_, record, rules_);
  }

  bool same(const rf_identity &a, const rf_identity &b) { return rf_identity_compare(&a, &b).one; }
  std::string why(const rf_identity &a, const rf_identity &b) { return rf_identity_why(&arena_, &a, &b); }

  rf_bump_arena arena_ = {nullptr};
  const rf_skip_rules *rules_ = nullptr;
  const rf_skip_rules none_ = {nullptr, 0};

private:
  // Addresses differ with each call, as they do between processes.
  std::string frames(const std::string &text, const char *folder) {
    std::string out;
    size_t at = 0;
    while (at < text.size()) {
      size_t const end = std::min(text.find(' ', at), text.size());
      std::string const word = text.substr(at, end - at);
      at = end + 1;
      if (word.empty()) {
        continue;
      }
      out += (out.empty() ? "" : ",") + ("{\"pc\":" + std::to_string(++address_ * 4096));
      size_t const bang = word.find('!');
      size_t const at_sign = word.find('@');
      if (at_sign != std::string::npos) {
        out += R"(,"function":")" + word.substr(0, at_sign) + R"(","module":")" + folder + word.substr(at_sign + 1) +
               "\"}";
        continue;
      }
      out += bang == std::string::npos ? R"(,"function":")" + word + "\""
                                       : R"(,"module":")" + std::string(folder) + word.substr(0, bang) +
                                             R"(","offset":"0x)" + word.substr(bang + 1) + "\"";
      out += "}";
    }
    return out;
  }

  unsigned address_ = 0;
};

TEST_F(Identity, NamesOfOneFunctionAreOne) {
  static const char *const rows[][2] = {
      {"parse", "parse"},
      {"parse.isra.0", "parse"},
      {"parse.constprop.1.isra.0", "parse"},
      {"parse.part.0", "parse"},
      {"parse.cold", "parse"},
      {"parse.llvm.1234567890", "parse"},
      {"parse.lto_priv.3", "parse"},
      {"parse@@LIB_1.0", "parse"},
      {"parse.y", "parse.y"},
      {"_Z5parsePKc", "parse"},
      {"_ZL5parsePKc", "parse"},
      {"_ZN3app5parseEPKc.cold", "app::parse"},
      {"_ZNK3app6reader4nextEv", "app::reader::next"},
      {"_ZN3app12_GLOBAL__N_15parseEv", "app::parse"},
      {"_ZN3app6readerC2Ev", "app::reader::reader"},
      {"_ZN3app6readerD0Ev", "app::reader::~reader"},
      {"_ZSt4sortv", "std::sort"},
      {"_ZN3app5parseIiEEvT_", "_ZN3app5parseIiEEvT_"},
      {"_Z5parseB5cxx11v", "_Z5parseB5cxx11v"},
      {"_ZN1aC1C1Ev", "_ZN1aC1C1Ev"},
      {"_ZN99x", "_ZN99x"},
      {"_Z", "_Z"},
      {"_ZN", "_ZN"},
      {"app::parse(char const*)", "app::parse"},
      {"app::reader::next() const", "app::reader::next"},
      {"void app::parse<int>(int)", "app::parse"},
      {"unsigned long f<int>(int)", "f"},
      {"unsigned long app::box<std::vector<int, std::allocator<int>>>::size() const", "app::box::size"},
      {"app::(anonymous namespace)::parse(int) [clone .isra.0]", "app::parse"},
      {"operator new(unsigned long)", "operator new"},
      {"app::box::operator()(int)", "app::box::operator()"},
      {"app::operator<<(std::ostream&, int)", "app::operator<<"},
      {"app::box<int>::operator->() const", "app::box::operator->"},
      {"app::box<decltype(a->b)>::size() const", "app::box::size"},
      {"my_operator(int)", "my_operator"},
      {"main::{lambda(int)#1}::operator()(int) const", "main::{lambda}::operator()"},
      {"main::$_0::operator()(int) const", "main::{lambda}::operator()"},
      {"main::$_12::operator()", "main::{lambda}::operator()"},
      {"main::'lambda0'(int)::operator()(int) const", "main::{lambda}::operator()"},
      {"main::(lambda at /src/a.cc:4:20)::operator()(int) const", "main::{lambda}::operator()"},
      {"auto S::m()::{lambda(auto:1)#1}::operator()<int>(int) const", "S::m"},
      {"void run<main::$_0>(main::$_0)", "run"},
      {"$_0", "{lambda}"},
      {"$_0:$_0:$_0:$_0:$_0", "{lambda}:{lambda}:{lambda}:{lambda}:{lambda}"},
      {"main::$_x::y", "main::$_x::y"},
      {"main::a$_0", "main::a$_0"},
      {"main::$_", "main::$_"},
      {"main::'lambda", "main::'lambda"},
      {"_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"},
      {"<app::Round<T> as app::Shape<u8>>::area", "<app::Round as app::Shape>::area"},
      {"<&mut fn(A) -> B as app::Shape>::area", "<&mut fn(A) -> B as app::Shape>::area"},
      {"<app::Round<app::Metre>>::area", "app::Round::area"},
      {"<<app::Round as app::Shape>::Unit>::area", "::Unit::area"},
      {"app::shapes::<impl app::Shape for [T]>::area", "app::shapes::<impl app::Shape for [T]>::area"},
      {"app::each::<i32, &dyn app::Shape>", "app::each"},
      {"app::each::<i32>::{closure#0}", "app::each::{closure#0}"},
      {"app::each<i32>", "app::each"},
      {"app::<lambda(int)>::operator()", "app::{lambda}::operator()"},
      {"<lambda(int)>::operator()", "{lambda}::operator()"},
      {"<", "<"},
      {"<>", "<>"},
      {"<a", "<a"},
      {"<a as b", "<a as b"},
      {"", ""},
      {"@", "@"},
      {"(", "("},
  };
  for (const auto &row : rows) {
    EXPECT_STREQ(name(row[0]), row[1]) << row[0];
  }
}

struct Row {
  const char *what;
  const char *bug;
  const char *one;
  const char *other;
  bool same;
};

TEST_F(Identity, EachKindHasItsStacks) {
  static const Row rows[] = {
      {"damage by its allocation", "heap-buffer-overflow", "free_all main;make main", "put main;make main", true},
      {"damage of other blocks", "heap-buffer-overflow", "put main;make main", "put main;grow main", false},
      {"damage of an unknown block", "heap-buffer-overflow", "put main", "get main", false},
      {"leaks", "memory-leak", ";make main", ";make load main", false},
      {"use after free", "heap-use-after-free", "get main;make main;drop main", "put main;make main;drop main", true},
      {"freed elsewhere", "heap-use-after-free", "get main;make main;drop main", "get main;make main;end main", false},
      {"made elsewhere", "double-free", "drop main;make main;drop main", "drop main;grow main;drop main", false},
      {"stale handles", "stale-handle", "get main;make main;drop main", "put main;make main;drop main", true},
      {"closed elsewhere", "stale-handle", "get main;make main;drop main", "get main;make main;end main", false},
      {"use after a move", "use-after-move", "get main;make main;grow main", "put main;make main;grow main", true},
      {"moved elsewhere", "use-after-move", "get main;make main;grow main", "get main;make main;end main", false},
      {"wild accesses", "SEGV", "get main", "get main", true},
      {"other wild accesses", "SEGV", "get main", "put main", false},
      {"bad frees", "bad-free", "drop main;make main", "drop main;grow main", true},
      {"mismatches by both", "alloc-dealloc-mismatch", "drop main;make main", "drop main;grow main", false},
      {"callers of main", "SEGV", "get main __libc_start_main x", "get main", true},
      {"five functions", "SEGV", "a b c d e f main", "a b c d e g main", true},
      {"the fifth", "SEGV", "a b c d e main", "a b c d f main", false},
      {"runtime frames", "SEGV", "libc.so.6!77 memcpy get main", "__memmove_avx_unaligned_erms get main", true},
      {"the C++ library", "SEGV", "std::vector::push_back get main", "get main", true},
      {"Rust's library", "memory-leak",
       ";__rustc::__rust_alloc alloc::alloc::alloc alloc::vec::Vec<T,A>::with_capacity app::load app::main",
       ";<alloc::vec::Vec<u8>>::from_elem app::load app::main", true},
      {"callers of Rust's library", "memory-leak",
       ";a::make alloc::alloc::alloc alloc::alloc::Global::allocate alloc::boxed::Box<T>::new alloc::rc::Rc<T>::new "
       "a::x",
       ";a::make alloc::alloc::alloc alloc::alloc::Global::allocate alloc::boxed::Box<T>::new alloc::rc::Rc<T>::new "
       "a::y",
       false},
      {"namespaces called alloc and core", "memory-leak", ";alloc::get core::make main", ";alloc::get core::made main",
       false},
      {"wrappers", "memory-leak", ";xmalloc make main", ";malloc make main", true},
      {"a stripped module", "SEGV", "prog!10 prog!20", "prog!10 prog!20", true},
      {"another place in it", "SEGV", "prog!10 prog!20", "prog!10 prog!24", false},
      {"another module", "SEGV", "prog!10", "lib.so!10", false},
      {"nothing but runtime frames", "SEGV", "memcpy", "memset", false},
      {"main alone, of one program", "SEGV", "memcpy main@prog x", "main@prog", true},
      {"main alone, of another", "SEGV", "main@prog", "main@other", false},
      {"a function of two programs", "SEGV", "get main@prog", "get main@other", true},
      {"another function alone", "SEGV", "get@prog", "get@other", true},
      {"a recursion", "SEGV", "node main", "node node node main", true},
      {"a recursion by another", "SEGV", "a b c main", "a b a b a b c main", true},
      {"a recursion around another", "SEGV", "a b c main", "b a b a b a c main", false},
      {"a recursion of another", "SEGV", "node main", "other other main", false},
      {"a recursion in a block's stacks", "heap-use-after-free", "x;node main;drop drop main",
       "x;node node node node node node main;drop main", true},
      {"functions of two programs", "SEGV", "init@prog main@prog", "init@other main@other", false},
      {"functions of one program", "SEGV", "init@prog main@prog", "init@prog main@prog", true},
      {"functions of two builds", "SEGV", "init@prog main@prog", "init@prog.debug main@prog.debug", true},
      {"functions of libtool's", "SEGV", "init@prog main@prog", "init@lt-prog main@lt-prog", true},
      {"functions of cargo's", "SEGV", "init@a-0123456789abcdef main@a-0123456789abcdef",
       "init@a-0123456789fedcba main@a-0123456789fedcba", true},
      {"functions of no checksum", "SEGV", "init@a-0123456789abcde main@a-0123456789abcde",
       "init@a-0123456789abcdf main@a-0123456789abcdf", false},
      {"functions of programs that are a checksum", "SEGV", "init@-0123456789abcdef main@-0123456789abcdef",
       "init@-fedcba9876543210 main@-fedcba9876543210", false},
      {"functions of a program that is libtool's mark", "SEGV", "init@lt- main@lt-", "init@lt-lt- main@lt-lt-", true},
      {"a library's function in two programs", "SEGV", "get@lib.so main@prog", "get@lib.so main@other", true},
      {"five functions of two programs", "SEGV", "a@prog b@prog c@prog d@prog e@prog main@prog",
       "a@other b@other c@other d@other e@other main@other", true},
      {"an allocation in main", "heap-use-after-free", "x;main@prog;drop main@prog", "x;main@other;drop main@other",
       false},
  };
  for (const Row &row : rows) {
    const rf_identity one = of(row.bug, row.one);
    const rf_identity other = of(row.bug, row.other, "", "/elsewhere/");
    EXPECT_EQ(same(one, other), row.same) << row.what << "\n" << why(one, other);
    EXPECT_EQ(one.version, static_cast<unsigned>(RF_IDENTITY_VERSION));
  }
  EXPECT_FALSE(same(of("heap-buffer-overflow", ";make main"), of("heap-buffer-underflow", ";make main")));
}

TEST_F(Identity, DoesNotDependOnModeAddressSizeOrLine) {
  const rf_identity guard =
      of("heap-buffer-overflow", "drop main;make main", R"(,"mode":"guard","size":13,"address":"0x1000","offset":13)");
  const rf_identity sample = of("heap-buffer-overflow", "put main;make main",
                                R"(,"mode":"sample","size":99,"address":"0x2000","offset":100,"at_access":true)");
  EXPECT_TRUE(same(guard, sample)) << why(guard, sample);
}

// A board knows the site of the call and no stack; a host's stack has the same function on top.
TEST_F(Identity, OfABoardIsThatOfAHost) {
  const char *const text =
      R"({"type":"finding","bug":"memory-leak","allocated":{"site":{"file":"src/a.c","line":7,"function":"main"}}})";
  const rf_json *const json = rf_json_parse(&arena_, text, std::strlen(text));
  const rf_identity board = rf_identity_of(&arena_, rf_record_read(&arena_, json), nullptr);
  EXPECT_TRUE(same(board, of("memory-leak", ";malloc main __libc_start_main"))) << board.stacks[1].frames[0];
}

TEST_F(Identity, WithoutAnyStackIsByAllocator) {
  EXPECT_TRUE(same(of("double-free", "", R"(,"allocator":"tlsf")"), of("double-free", "", R"(,"allocator":"tlsf")")));
  EXPECT_FALSE(same(of("double-free", "", R"(,"allocator":"tlsf")"), of("double-free", "", R"(,"allocator":"slab")")));
}

// And no others that begin or end alike.
TEST_F(Identity, WrappersAndLibrariesThatManyProgramsHaveAreSkipped) {
  const char *const functions[] = {"operator new(unsigned long)",
                                   "operator delete[](void*)",
                                   "__interceptor_free",
                                   "__asan_memcpy",
                                   "__sanitizer_free",
                                   "__libc_malloc",
                                   "__GI___libc_malloc",
                                   "memcpy",
                                   "memmove",
                                   "memset",
                                   "memcmp",
                                   "memchr",
                                   "strlen",
                                   "strcpy",
                                   "strncpy",
                                   "strcat",
                                   "strcmp",
                                   "__memcpy_chk",
                                   "__strcpy_chk",
                                   "__memset_avx2_unaligned",
                                   "__memmove_sse2",
                                   "__memcpy_evex",
                                   "__strlen_avx2",
                                   "__strcpy_sse2",
                                   "__strlen_evex",
                                   "__memmove_erms",
                                   "__aeabi_memcpy4",
                                   "rf_alloc_at",
                                   "rf_calloc",
                                   "rf_realloc_at",
                                   "rf_free_at",
                                   "rf_guard_alloc",
                                   "rf_page_alloc",
                                   "rf_sample_alloc",
                                   "xmalloc",
                                   "xcalloc",
                                   "xrealloc",
                                   "xstrdup",
                                   "g_malloc0",
                                   "g_realloc_n",
                                   "g_free",
                                   "pvPortMalloc",
                                   "vPortFree",
                                   "k_malloc",
                                   "k_free",
                                   "_start",
                                   "start_thread",
                                   "clone3",
                                   "clone",
                                   "__clone3",
                                   "_dl_init",
                                   "Reset_Handler",
                                   "std::vector<int>::push_back",
                                   "__gnu_cxx::new_allocator<int>::allocate"};
  for (const char *const function : functions) {
    EXPECT_TRUE(rf_skip_rules_match(&none_, function, "prog")) << function;
  }
  for (const char *const function : {"main", "xmalloc2", "my_xmalloc", "memcpy2", "k_free_all", "g_free_full", "starts",
                                     "Reset_Handle", "app::std::get", "strdup", "clones"}) {
    EXPECT_FALSE(rf_skip_rules_match(&none_, function, "prog")) << function;
  }
  for (const char *const module :
       {"libc.so.6", "libc-2.31.so", "libm.so.6", "libstdc++.so.6", "libc++.so.1", "libc++abi.so.1", "libpthread.so.0",
        "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-2.31.so", "libringfence.so", "libasan.so.8",
        "vgpreload_memcheck-amd64-linux.so", "libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"}) {
    EXPECT_TRUE(rf_skip_rules_match(&none_, "get", module)) << module;
  }
  for (const char *const module : {"prog", "libcx.so", "mylibc.so.6", "libmine.so", "libstd.so"}) {
    EXPECT_FALSE(rf_skip_rules_match(&none_, "get", module)) << module;
  }
  EXPECT_FALSE(rf_skip_rules_match(&none_, nullptr, nullptr));
}

TEST_F(Identity, RulesOfAFileAreSkipped) {
  static const char text[] = "# ours\n \t\r\nfunction:^app_*alloc$\t \r\nmodule:^libwrap \t\n\n";
  rf_skip_rules rules = {};
  ASSERT_EQ(rf_skip_rules_parse(&rules, &arena_, text, sizeof text - 1), 0u);
  EXPECT_EQ(rules.count, 2u);
  EXPECT_FALSE(same(of("memory-leak", ";app_big_alloc libwrap.so!5 make main"), of("memory-leak", ";make main")));
  rf_skip_rules marked = {};
  EXPECT_EQ(rf_skip_rules_parse(&marked, &arena_, "\xEF\xBB\xBFmodule:x of no file", 11), 0u);
  ASSERT_EQ(marked.count, 1u);
  EXPECT_EQ(std::string(marked.list[0].pattern, marked.list[0].length), "x");
  rules_ = &rules;
  EXPECT_TRUE(same(of("memory-leak", ";app_big_alloc libwrap.so!5 make main"), of("memory-leak", ";make main")));
  for (const char *const wrong : {"function", "function:", "frame:x", ":", "x"}) {
    EXPECT_EQ(rf_skip_rules_parse(&rules, &arena_, wrong, std::strlen(wrong)), 1u) << wrong;
  }
}

TEST_F(Identity, WhyNamesTheKeysThatAreEqualAndThoseThatDiffer) {
  const rf_identity a = of("heap-use-after-free", "get main;make main;drop main");
  const rf_identity b = of("heap-use-after-free", "put main;make main;drop end main");
  EXPECT_EQ(why(a, b), "two bugs, perhaps related: heap-use-after-free is grouped by the allocation and the free\n"
                       "access: differs at frame 0, get and put (does not count for this kind)\n"
                       "allocation: equal, at make\n"
                       "free: differs at frame 1, main and end\n");
  EXPECT_EQ(why(a, a), "one bug: heap-use-after-free is grouped by the allocation and the free\n"
                       "access: equal, at get (does not count for this kind)\n"
                       "allocation: equal, at make\n"
                       "free: equal, at drop\n");
  const rf_identity c = of("SEGV", "a main");
  EXPECT_EQ(why(a, c), "two bugs: heap-use-after-free and SEGV\n"
                       "access: differs at frame 0, get and a\n"
                       "allocation: known only in the first\n"
                       "free: known only in the first\n");
  EXPECT_NE(
      why(of("SEGV", "a b c"), of("SEGV", "a b")).find("access: differs at frame 2, c and the end of the stack\n"),
      std::string::npos);
  EXPECT_NE(why(of("SEGV", "a"), of("SEGV", "a b")).find("access: differs at frame 1, the end of the stack and b\n"),
            std::string::npos);
  const auto verdict = [this](const rf_identity &one, const rf_identity &other) {
    const std::string text = why(one, other);
    return text.substr(0, text.find('\n'));
  };
  const auto of_itself = [&](const char *bug, const char *stacks) {
    const rf_identity one = of(bug, stacks);
    return verdict(one, one);
  };
  const char *const stacks = "get main;make main;drop main";
  EXPECT_EQ(of_itself("SEGV", stacks), "one bug: SEGV is grouped by the access");
  EXPECT_EQ(of_itself("memory-leak", stacks), "one bug: memory-leak is grouped by the allocation");
  EXPECT_EQ(of_itself("alloc-dealloc-mismatch", stacks),
            "one bug: alloc-dealloc-mismatch is grouped by the allocation and the access");
  EXPECT_EQ(of_itself("double-free", ";;drop main"), "one bug: double-free is grouped by the free");
  EXPECT_EQ(verdict(a, of("heap-use-after-free", "get main;;drop main")),
            "two bugs, perhaps related: heap-use-after-free is grouped by the allocation and the free, the other by "
            "the free");
  rf_identity older = a;
  older.version--;
  EXPECT_FALSE(same(a, older));
  EXPECT_EQ(why(a, older), "not comparable: their keys come from two versions of the algorithm\n");
}

// Baselines of that time are compared by it.
TEST_F(Identity, InVersion1AMainAloneCountedWithoutItsProgram) {
  const char *const text = R"({"type":"finding","bug":"memory-leak",)"
                           R"("allocated":{"frames":[{"pc":1,"function":"main","module":"/a/prog"}]}})";
  const rf_record *const record = rf_record_read(&arena_, rf_json_parse(&arena_, text, std::strlen(text)));
  std::array<rf_identity, RF_IDENTITY_VERSION> all{};
  rf_identity_of_versions(&arena_, record, nullptr, all.data());
  const rf_identity first = all[0];
  const rf_identity now = rf_identity_of(&arena_, record, nullptr);
  EXPECT_EQ(first.version, 1u);
  EXPECT_EQ(first.group, UINT64_C(0xb1044235d9f8a4c3));
  EXPECT_EQ(now.group, UINT64_C(0x4027dc04994fcd5e));
  EXPECT_FALSE(same(first, now));
  EXPECT_EQ(all[RF_IDENTITY_VERSION - 1].group, now.group);
}

// A recursion counted as often as it is deep, up to five calls, and a main with its program only where it was alone.
TEST_F(Identity, BeforeVersion3EachCallOfARecursionCounted) {
  const auto versions = [this](const char *calls) {
    std::string frames;
    for (const char *at = calls; *at != '\0'; at++) {
      frames += std::string(at == calls ? "" : ",") + R"({"pc":1,"module":"/a/prog","function":")" +
                (*at == 'm' ? "main" : std::string(1, *at)) + "\"}";
    }
    const std::string line = R"({"type":"finding","bug":"SEGV","found":{"frames":[)" + frames + "]}}";
    std::array<rf_identity, RF_IDENTITY_VERSION> all{};
    const rf_record *const record = rf_record_read(&arena_, rf_json_parse(&arena_, line.c_str(), line.size()));
    rf_identity_of_versions(&arena_, record, nullptr, all.data());
    return all;
  };
  const auto thrice = versions("fffm");
  const auto once = versions("fm");
  const auto deep = versions("fffffffm");
  for (size_t i = 0; i < 2; i++) {
    EXPECT_EQ(thrice[i].version, i + 1);
    EXPECT_EQ(thrice[i].stacks[RF_STACK_FOUND].count, 4u);
    EXPECT_STREQ(thrice[i].stacks[RF_STACK_FOUND].frames[3], "main");
    EXPECT_NE(thrice[i].group, once[i].group);
    EXPECT_EQ(deep[i].stacks[RF_STACK_FOUND].count, 5u);
    EXPECT_STREQ(deep[i].stacks[RF_STACK_FOUND].frames[4], "f");
  }
  EXPECT_EQ(thrice[2].stacks[RF_STACK_FOUND].count, 2u);
  EXPECT_STREQ(thrice[2].stacks[RF_STACK_FOUND].frames[1], "main of prog");
  EXPECT_EQ(thrice[2].group, once[2].group);
  EXPECT_EQ(thrice[2].group, deep[2].group);
}

// Stores keep these numbers: a change of any is a new version of the algorithm.
TEST_F(Identity, BeforeVersion3ThreeFunctionsCounted) {
  const auto before = [this](const std::string &functions) {
    std::string frames;
    for (const char function : functions) {
      frames += std::string(frames.empty() ? "" : ",") + R"({"pc":1,"function":")" + function + "\"}";
    }
    const std::string line = R"({"type":"finding","bug":"SEGV","found":{"frames":[)" + frames + "]}}";
    rf_record *record = rf_record_read(&arena_, rf_json_parse(&arena_, line.c_str(), line.size()));
    rf_skip_rules const none = {nullptr, 0};
    rf_fingerprint_all(&arena_, &record, 1, &none);
    return std::string(record->earlier[0]);
  };
  EXPECT_EQ(before("abcd"), before("abcx"));
  EXPECT_NE(before("abcd"), before("abxd"));
  EXPECT_NE(before("abc"), before("ab"));
}

TEST_F(Identity, KeysOfThisVersionStay) {
  const rf_identity known = of("heap-use-after-free", "get main;make.isra.0 main;prog!1a2b main");
  EXPECT_EQ(known.group, UINT64_C(0x1aec062fef6bb6c2));
  EXPECT_EQ(known.stacks[RF_STACK_FOUND].key, UINT64_C(0xfc6cd509eed25348));
  EXPECT_EQ(known.stacks[RF_STACK_ALLOCATED].key, UINT64_C(0x2284f20d21975690));
  EXPECT_EQ(known.stacks[RF_STACK_RELEASED].key, UINT64_C(0x336628512cb7f9db));
}

} // namespace
