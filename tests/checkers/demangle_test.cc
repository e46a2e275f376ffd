// Names of C++ for people. The expected texts are those of the C++ runtime's own demangler.
#include "checkers/os/demangle.h"

#include <cxxabi.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

namespace {

rf_demangle memory;

const char *const kKnown[] = {
    "_Z3foov",
    "_ZN5outer5inner5Class6methodEiPKcRKNS_5OtherE",
    "_ZNK5Class3getEv",
    "_ZNO5Class4moveEv",
    "_ZN12_GLOBAL__N_15blockEm",
    "_ZN12_GLOBAL__N_11AC2EOS0_",
    "_ZN5ClassD0Ev",
    "_ZN5ClassaSERKS_",
    "_ZN5ClasscvbEv",
    "_ZNK3MapixERKSs",
    "_ZlsRSoRK5Class",
    "_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc",
    "_ZNSdC1EOSd",
    "_ZNSsC1EPKcRKSaIcE",
    "_ZNSt6vectorIiSaIiEE9push_backEOi",
    "_ZNSt6vectorIPFviESaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_",
    "_ZNSt6vectorIiSaIiEE12emplace_backIJEEERiDpOT_",
    "_ZSt4moveIRiEONSt16remove_referenceIT_E4typeEOS2_",
    "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE9_M_createERmm",
    "_ZN3FooB5cxx11Ev",
    "_ZZ4mainENKUlvE_clEv",
    "_ZZN1A1fEiENKUlPKcE0_clES1_",
    "_ZZ4mainE5Local",
    "_ZNK12_GLOBAL__N_1L6kCasesMUlvE6_clEv",
    "_ZN3ArrILi5ELb1ELl7ELj3ELm9EEC1Ev",
    "_ZN4EnumIL5Color2EE3useEv",
    "_Z4takePFiPvE",
    "_Z4takeRA5_iPA3_Kc",
    "_Z4takeM5ClassiMS_FvvE",
    "_ZThn16_N5Class3runEv",
    "_ZTv0_n24_N5Class3runEv",
    "_ZN5ClassnwEm",
    "_Zli3_kmy",
    "_Z3foov.isra.0",
    "_Z1fIJidEEvZ1gIJcccEEvvE1LDpT_",
    "_ZGVZ4mainE5thing",
};

std::string reference(const char *mangled) {
  int status = 0;
  std::unique_ptr<char, decltype(&std::free)> const text(abi::__cxa_demangle(mangled, nullptr, nullptr, &status),
                                                         std::free);
  return text != nullptr ? text.get() : "";
}

TEST(Demangle, SaysWhatTheRuntimesDemanglerSays) {
  for (const char *const mangled : kKnown) {
    const char *const name = rf_demangle_name(&memory, mangled);
    if (std::string(mangled).compare(0, 3, "_ZG") == 0) {
      EXPECT_EQ(name, nullptr) << "no function";
    } else {
      ASSERT_NE(name, nullptr) << mangled;
      EXPECT_EQ(name, reference(mangled)) << mangled;
    }
  }
}

// The runtime's demangler leaves a comma without anything behind it.
TEST(Demangle, AnEmptyPackAmongOthersSaysNothing) {
  EXPECT_STREQ(rf_demangle_name(&memory, "_Z1fI1AJEEvR1BIT_JDpT0_EE"), "void f<A>(B<A>&)");
  EXPECT_STREQ(rf_demangle_name(&memory, "_Z1fIJEEvR1BIJDpT_EiEPFvDpRKT_iE"), nullptr) << "a pack is the last one";
  EXPECT_STREQ(rf_demangle_name(&memory, "_Z1fIJEEvR1BIJDpT_EEPFvDpRKT_iE"), "void f<>(B<>&, void (*)(int))");
}

TEST(Demangle, LeavesWhatItDoesNotKnow) {
  for (const char *const mangled :
       {"", "main", "_Z", "_Zxx", "_Z3fo", "_ZN3fooE", "_ZN1A", "_Z3fooIXadL_Z3barvEEEvv", "_Z3fooT_", "_Z3fooS9_",
        "_ZN3FooC1", "_Z99999999999999999999f", "_Z4294967297fv", "_Z1fDpT_", "_R3rust"}) {
    const char *const name = rf_demangle_name(&memory, mangled);
    EXPECT_TRUE(name == nullptr || name == reference(mangled)) << mangled << ": " << name;
  }
  std::string deep = "_Z1f";
  EXPECT_EQ(rf_demangle_name(&memory, (deep + std::string(100000, 'P') + "i").c_str()), nullptr);
  std::string longest = "_ZN";
  for (int i = 0; i < 3000; i++) {
    longest += "3abc";
  }
  EXPECT_EQ(rf_demangle_name(&memory, (longest + "Ev").c_str()), nullptr);
}

// Names come out of files: any bytes must do no harm.
TEST(Demangle, NoBytesDoHarm) {
  static const char bytes[] = "_ZNSTIEJKPROFAMDULCXvi05\xff";
  for (const char *const mangled : kKnown) {
    std::string const whole = mangled;
    for (size_t i = 0; i < whole.size(); i++) {
      std::unique_ptr<char[]> const text(new char[i + 1]); // ends where a sanitizer sees a read behind it
      whole.copy(text.get(), i);
      text[i] = '\0';
      (void)rf_demangle_name(&memory, text.get());
      for (const char *byte = bytes; *byte != '\0'; byte++) {
        std::string changed = whole;
        changed[i] = *byte;
        (void)rf_demangle_name(&memory, changed.c_str());
      }
    }
  }
}

} // namespace
