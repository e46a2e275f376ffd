// Names of C++ part by part: every operator, type, qualifier and abbreviation, and the limits. The expected texts are
// those of the C++ runtime's own demangler, but where it is wrong.
#include "checkers/os/demangle.h"

#include <cxxabi.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {

rf_demangle memory;

std::string reference(const std::string &mangled) {
  int status = 0;
  std::unique_ptr<char, decltype(&std::free)> const text(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status), std::free);
  return text != nullptr ? text.get() : "";
}

std::string name_of(const std::string &mangled) {
  const char *const name = rf_demangle_name(&memory, mangled.c_str());
  return name != nullptr ? name : "";
}

// The runtime of an old compiler does not know the newest operators.
void expect_reference(const std::string &mangled) {
  std::string const expected = reference(mangled);
  std::string const name = name_of(mangled);
  EXPECT_NE(name, "") << mangled;
  EXPECT_EQ(name, expected.empty() ? name : expected) << mangled;
}

void expect_unknown(const std::string &mangled) {
  EXPECT_EQ(name_of(mangled), "") << mangled;
}

std::string text_of(size_t number) {
  return std::to_string(number);
}

TEST(DemangleParts, EveryOperatorHasItsName) {
  for (const char *const code :
       {"nw", "na", "dl", "da", "ps", "ng", "ad", "de", "co", "pl", "mi", "ml", "dv", "rm", "an", "or", "eo",
        "aS", "pL", "mI", "mL", "dV", "rM", "aN", "oR", "eO", "ls", "rs", "lS", "rS", "eq", "ne", "lt", "gt",
        "le", "ge", "ss", "nt", "aa", "oo", "pp", "mm", "cm", "pm", "pt", "cl", "ix", "qu", "aw"}) {
    expect_reference("_ZN5Class" + std::string(code) + "ERKS_");
    expect_reference("_Z" + std::string(code) + "5Class");
    expect_reference("_ZN5Class" + std::string(code) + "IiEEvT_");
  }
  expect_reference("_Zli2_kPKc");
  expect_reference("_ZN5ClasscvPKcEv");
  expect_reference("_ZNK5ClassIiEcvT_Ev");
  expect_unknown("_ZN5ClasszzERKS_");
}

TEST(DemangleParts, EveryTypeOfALetterHasItsName) {
  for (char letter = 'a'; letter <= 'z'; letter++) {
    bool const known = std::string("kpqru").find(letter) == std::string::npos;
    std::string const mangled = std::string("_Z1fi") + letter;
    if (known) {
      expect_reference(mangled);
    } else {
      expect_unknown(mangled);
    }
  }
  for (const char *const type : {"Dn", "Di", "Ds", "Da", "Du"}) {
    expect_reference(std::string("_Z1fi") + type);
  }
  for (const char *const odd : {"`", "{", "@", "Dz", "D", "Dt", "DT"}) {
    expect_unknown(std::string("_Z1fi") + odd);
  }
}

TEST(DemangleParts, QualifiersOfMethodsAndTypesAreAllRead) {
  for (const char *const cv : {"", "K", "V", "VK", "r", "rK", "rV", "rVK"}) {
    for (const char *const to : {"", "R", "O"}) {
      if (cv[0] != 'r') {
        expect_reference(std::string("_ZN") + cv + to + "5Class1fEv");
        expect_reference(std::string("_ZN") + cv + to + "5ClassIiE1fIcEEvT_");
      }
    }
    expect_reference(std::string("_Z1fP") + (cv[0] == 'r' ? cv + 1 : cv) + "i");
    expect_reference(std::string("_Z1fP") + (cv[0] == 'r' ? cv + 1 : cv) + "Pc");
  }
  EXPECT_EQ(name_of("_Z1frPc"), "f(char*)") << "C++ has no restrict";
  EXPECT_EQ(name_of("_Z1frVKi"), "f(int const volatile)");
}

// A qualifier that a template argument has already is not repeated.
TEST(DemangleParts, AConstTypeIsConstOnce) {
  expect_reference("_Z1fIKcEvRKT_");
  expect_reference("_Z1fIKcEvRT_");
  expect_reference("_Z1fIVcEvRVT_");
  expect_reference("_Z1fIKcEvPKT_S1_");
  expect_reference("_Z1fIPKcEvRKT_");
  expect_reference("_Z1fIcEvRKT_");
}

TEST(DemangleParts, ReferencesToReferencesAreOne) {
  for (const char *const argument : {"i", "Ri", "Oi", "RKi", "OKi", "PRi", "A3_i", "RA3_i", "PFivE", "RFivE"}) {
    for (const char *const to : {"T_", "RT_", "OT_"}) {
      expect_reference(std::string("_Z1fI") + argument + "Ev" + to + "i");
    }
  }
  expect_unknown("_Z1fIOA3_iEvRT_");
}

TEST(DemangleParts, FunctionsArraysAndMembersStandAroundTheirName) {
  for (const char *const plain :
       {"PFvvE", "PFvicE", "PPFvvE", "RFivE", "PFiPFvcEE", "PA3_i", "RA12_Kc", "M5Classi", "M5ClassFvicE",
        "PM5ClassFvvE", "PFYvvE", "PKPFvvE", "PPA3_i", "PM5Classi", "PFvzE"}) {
    expect_reference(std::string("_Z1f") + plain);
  }
  EXPECT_EQ(name_of("_Z1fM5ClassA3_i"), "f(int (Class::*)[3])");
  EXPECT_EQ(name_of("_Z1fM5ClassPFvvE"), "f(void (*(Class::*))())");
  expect_unknown("_Z1fPFPFivEvE"); // one that returns one
  expect_unknown("_Z1fPA3_A4_i");
  for (const char *const cut : {"PFvv", "PFvvi", "A3i", "PA3_", "M5Class", "M5ClassKFvvE", "PFvKE", "A_", "KFvvE"}) {
    expect_unknown(std::string("_Z1f") + cut);
  }
}

// As in unique_ptr<int []>, and in a reference to a literal.
TEST(DemangleParts, ArraysMayHaveNoSizeAndConstElements) {
  for (const char *const array : {"A_i", "PA_i", "RA_Kc", "KA3_i", "RKA3_i", "RVA3_i", "PKA_Pv", "RKA3_Kc"}) {
    expect_reference(std::string("_Z1f") + array);
  }
  expect_reference("_ZNSt10unique_ptrIA_iSt14default_deleteIS0_EED1Ev");
  expect_reference("_ZN7testing7MessagelsIA12_cEERS0_RKT_");
  expect_reference("_Z1fIA3_KcEvRKT_");
  expect_unknown("_Z1fIA3_cEvRVKT_");
  expect_unknown("_Z1fRKA3_PFivE");
  expect_unknown("_Z1fRKFivE");
}

TEST(DemangleParts, SubstitutionsAreCountedInDigitsAndLetters) {
  std::string all = "_Z1f";
  for (char c = 'a'; c < 'a' + 20; c++) { // S_ to SI_, each a class of its own
    all += std::string("2c") + c;
  }
  for (int i = 0; i < 20; i++) { // and 20 pointers to them
    std::string const index = i == 0 ? "" : std::string(1, "0123456789ABCDEFGHI"[i - 1]);
    all += "PS" + index + "_";
  }
  for (const char *const index : {"", "0", "8", "9", "A", "I", "J", "Y", "Z", "10", "11", "12"}) {
    expect_reference(all + "S" + index + "_");
  }
  for (const char *const index : {"13", "1Z", "ZZ", "a", "-", "ZZZZ"}) {
    expect_unknown(all + "S" + index + "_");
  }
  EXPECT_NE(name_of(all + "S12_").find("c0"), 0U);
  expect_unknown(all + "S1Z141Z3_"); // 2 to the 32nd less one in base 36, which is followed by no number of 32 bits
}

TEST(DemangleParts, AbbreviationsAreThoseOfTheStandardLibrary) {
  for (const char *const letter : {"a", "b", "s", "i", "o", "d"}) {
    expect_reference(std::string("_Z1fS") + letter);
    expect_reference(std::string("_ZNS") + letter + "1fEv");
    expect_reference(std::string("_ZNKS") + letter + "3getEv");
    expect_reference(std::string("_ZNS") + letter + "D1Ev");
    expect_reference(std::string("_ZNS") + letter + "C2EPKc");
    expect_reference(std::string("_ZNS") + letter + "IcE1fEv");
  }
  expect_reference("_ZSt4movev");
  expect_reference("_ZSt4moveIiEvT_");
  expect_reference("_ZNSt3foo3barEv");
  expect_reference("_Z1fSt3foo");
  expect_reference("_Z1fSt3fooIiE");
  expect_unknown("_Z1fSz");
  expect_unknown("_ZSa");
}

TEST(DemangleParts, LiteralsAreWrittenAsTheirTypes) {
  for (const char *const literal :
       {"Li5E", "Lin5E", "Lj5E", "Ll5E", "Lm5E", "Lx5E", "Ly5E", "Lb0E", "Lb1E", "L5Color2E", "L5Colorn2E", "Lln7E"}) {
    expect_reference(std::string("_Z1fI") + literal + "Evv");
  }
  for (const char *const odd : {"Li5", "LiE", "Lb", "L_Z1gE", "L", "XE", "Li5_E"}) {
    expect_unknown(std::string("_Z1fI") + odd + "Evv");
  }
}

TEST(DemangleParts, ParametersOfTemplatesAreCountedFromTheirOwn) {
  std::string arguments;
  for (size_t i = 0; i < RF_DEMANGLE_ARGUMENTS; i++) {
    arguments += "Li" + text_of(i) + "E";
  }
  for (const char *const index : {"", "0", "7", "8", "9", "10", "18", "22"}) {
    expect_reference("_Z1fI" + arguments + "Ev1CIT" + index + "_E");
  }
  expect_unknown("_Z1fI" + arguments + "Ev1CIT23_E");
  expect_unknown("_Z1fI" + arguments + "Ev1CIT_");
  expect_unknown("_Z1fI" + arguments + "iEvv"); // one too many
  expect_reference("_Z1fI1AIiEcEvT0_T_");
  expect_reference("_ZN1AIiE1fIcEEvT_");
}

TEST(DemangleParts, PacksAreExpanded) {
  expect_reference("_Z1fIJicdEEvDpT_");
  expect_reference("_Z1fIiJcdEEvT_DpT0_");
  expect_reference("_Z1fIiJcdEEvT_DpRKT0_");
  expect_reference("_Z1fIJicEEviDpT_i");
  expect_reference("_Z1fIJEEvDpT_");
  expect_reference("_Z1fIJRiOcEEvDpOT_");
  expect_reference("_Z1fIJicEEvDp1SIT_E");
  expect_reference("_Z1fIJicEEvDp1SIlT_E");
  EXPECT_EQ(name_of("_Z1fIJOiEEvDpRT_"), "void f<int&&>(int&)");
  expect_unknown("_Z1fIJicEEvDpi");
  expect_reference("_Z1fIJiEEvDpT_3FooPS2_P3BarS5_"); // the expansion has a number as well
  expect_reference("_Z1kIJiEEvDpPT_P3BarS4_P3FooS6_");
  EXPECT_EQ(name_of("_Z1fIJEEvDpT_3FooPS2_P3BarS5_"), "void f<>(Foo, Foo*, Bar*, Bar*)");
  expect_unknown("_Z13sort_r_simpleIJEEvPvmmPFiPKvS2_DpT_ES4_"); // which is named once more here
  expect_unknown("_Z1fIiJcdEEvT_T1_");                           // there are two parameters
}

// As std::thread's functions name the arguments of the one that it starts.
TEST(DemangleParts, APacksTypeMayBeNamedAgainWhereItIsExpanded) {
  expect_reference("_ZSt8__invokeIZ4mainEUlvE_JEENSt15__invoke_resultIT_JDpT0_EE4typeEOS2_DpOS3_");
  expect_reference("_Z1fI1AJiEENSt1RIT_JDpT0_EE4typeEOS2_DpOS3_");
  expect_reference("_Z1fI1AJRiEENSt1RIT_JDpT0_EE4typeEOS3_DpOS4_");
  expect_reference("_Z1fI1AJiPcEENSt1RIT_JDpT0_EE4typeEOS3_DpOS4_");
  expect_reference("_Z1fIJicEEvDpT_DpPT_");
  expect_reference("_Z1fIJicEEvDpRT_DpPS0_");
  expect_reference("_Z1fIJicEE1BIJDpT_EEDpRKS1_");
  expect_reference("_Z1fIJicEEvDp1SIT_EDpR1BIS1_E");
  // With several arguments, what was made of T_ is left, and T_ where & or const may be the argument's.
  expect_unknown("_Z1fIJicEEvDpOT_DpOS1_");
  expect_unknown("_Z1fIJiRcEEvDpT_DpRS0_");
  expect_unknown("_Z1fIJRiOcEEvDpT_DpOS2_");
  expect_unknown("_Z1fIJKiKcEEvDpRT_DpPS1_");
  expect_unknown("_Z1fIJiVcEEvDpRT_DpPS1_");
}

TEST(DemangleParts, ValuesThatAreParametersAreThoseOfTheArguments) {
  expect_reference("_ZNSt6thread8_InvokerISt5tupleIJZ4mainEUlvE_EEE9_M_invokeIJLm0EEEEvSt12_Index_tupleIJXspT_EEE");
  expect_reference("_Z1fIJLi1ELi2EEEv1BIJXspT_EEE");
  expect_reference("_Z1fIJEEv1BIJXspT_EEE");
  EXPECT_EQ(name_of("_Z1fIJLi1ELi2EEEvDp1SIJXspT_EiT_EE"), "void f<1, 2>(S<1, 2, int, 1>, S<1, 2, int, 2>)");
  expect_reference("_ZSt3getILm0EJiEERNSt13tuple_elementIXT_ESt5tupleIJDpT0_EEE4typeERS5_");
  expect_unknown("_Z1fILi1EEv1BIJXspT_EEE"); // no pack
  expect_unknown("_Z1fIJLi1EEEv1BIXT_EE");   // a pack
  for (const char *const cut : {"XspT_", "XspT_EE", "XspT1_E", "XT_", "XT1_E", "XspE", "Xsp"}) {
    expect_unknown(std::string("_Z1fIJLi1EEEv1BIJ") + cut);
  }
}

TEST(DemangleParts, LambdasAndTypesWithoutANameAreNumbered) {
  for (const char *const number : {"", "0", "7", "8", "9", "10", "98", "99"}) {
    expect_reference(std::string("_ZZ1fvENKUlvE") + number + "_clEv");
    expect_reference(std::string("_ZZ1fvENKUliPKcE") + number + "_clEiS0_");
    expect_reference(std::string("_ZZ1fvENUt") + number + "_1gEv");
  }
  expect_unknown("_ZZ1fvENKUlv_clEv");
  expect_unknown("_ZZ1fvENKUxvE_clEv");
  expect_reference("_ZZ1fvENKUliE_cvPFviEEv");
}

// The runtime takes the name of a function before for that of a lambda's constructor.
TEST(DemangleParts, ConstructorsHaveTheNameOfTheirClass) {
  expect_reference("_ZN1AC1Ev");
  expect_reference("_ZN1AD2Ev");
  expect_reference("_ZN1A2BBC1Ev");
  expect_reference("_ZN1AIiEC1Ev");
  expect_reference("_ZN1AI1BIiEEC1Ev");
  expect_reference("_ZN1AI1BIiEED1Ev");
  expect_reference("_ZN1AIPFvvEEC2Ev");
  expect_reference("_ZN1AIA3_iEC2Ev");
  expect_reference("_ZZ1fvEN1AC1Ev");
  EXPECT_EQ(name_of("_ZZ1fvENUlvE_D1Ev"), "f()::{lambda()#1}::~{lambda()#1}()");
  EXPECT_EQ(name_of("_ZZ1fvENUliE0_C1EOS_"), "f()::{lambda(int)#2}::{lambda(int)#2}({lambda(int)#2}&&)");
  EXPECT_EQ(name_of("_ZZ1fvENUt_D1Ev"), "f()::{unnamed type#1}::~{unnamed type#1}()");
  EXPECT_EQ(name_of("_ZN1AIZ1fvEUlvE_EC1Ev"), "A<f()::{lambda()#1}>::A()");
  expect_unknown("_ZNC1Ev");
}

// T_ belongs to the template around it. Where it came from another one, the linker's name is better than a wrong one.
TEST(DemangleParts, AParameterOfAnotherTemplateIsNoName) {
  expect_unknown("_ZNK1A2goIZ3twoIZ1fvEUljE_EvOT_EUlvE0_EERKS3_v");
  expect_unknown("_ZN1AIZ1gIiEvPT_EUlvE_E1hIcEEvS2_");
  expect_unknown("_ZNK1AI1BEcv1CIT_EIiEEv");
  expect_unknown("_ZZ1fIiEvvENKUlT_E_clIcEEDaS0_");
  expect_unknown("_ZZ1fIJicEEvDpT_ENKUlDpS0_E_clIJdEEEvDpS0_");
  expect_unknown("_ZN1AIZ1gIJiEEvDpPT_EUlvE_E1hIJcEEEvDpS2_");
  expect_reference("_ZN1AIZ1gIiEvPT_EUlvE_E1hIcEEvT_");
  expect_reference("_ZN1AIZ1gIiEvT_EUlvE_E1hEv");
}

TEST(DemangleParts, WhatAFunctionDeclaresIsInIt) {
  for (const char *const mangled : {"_ZZ1fvE1x", "_ZZ1fvE1x_0", "_ZZ1fvE1x__10_", "_ZZN1A1fEvE1x", "_ZZ1fiEN1B1gEv",
                                    "_ZZZ1fvENKUlvE_clEvE1y", "_ZZ1fIiEvT_E1x", "_ZZ1fvEN1B1gEi"}) {
    expect_reference(mangled);
  }
  expect_unknown("_ZZ1fvE1x__10");
  expect_unknown("_ZZ1fv1x");
  expect_unknown("_ZZ1fvEs");
  expect_unknown("_ZZ1fvEd_N1A1gEv");
}

TEST(DemangleParts, NamesWithoutALinkerOfTheirOwnAndWithTags) {
  expect_reference("_ZN11_GLOBAL__N_1fEv");
  expect_reference("_ZN12_GLOBAL__N_11fEv");
  expect_reference("_ZL1fv");
  expect_reference("_ZN1AL1fEv");
  expect_reference("_Z1fB3tagv");
  expect_reference("_Z1fB3tagB5otheri");
  expect_reference("_ZN1AB3tag1fEv");
  expect_reference("_ZN1AB3tagC1Ev");
}

TEST(DemangleParts, ThunksAndClonesSaySo) {
  for (const char *const mangled : {"_ZThn8_N1A1fEv", "_ZTh8_N1A1fEv", "_ZTv0_n24_N1A1fEv", "_ZTvn16_n24_NK1A1fEi",
                                    "_Z1fv.part.0", "_Z1fIiEvT_.constprop.3", "_Z1x.cold"}) {
    expect_reference(mangled);
  }
  for (const char *const local : {"_ZTH2tl", "_ZTW2tl", "_ZTWN1A2tlE", "_ZTHN12_GLOBAL__N_12tlE"}) {
    expect_reference(local);
  }
  for (const char *const cut :
       {"_ZTh8N1A1fEv", "_ZTv0_N1A1fEv", "_ZTh_N1A1fEv", "_ZTx8_N1A1fEv", "_ZTv0_8N1A1fEv", "_ZTH", "_ZTW2t"}) {
    expect_unknown(cut);
  }
}

TEST(DemangleParts, TemplatesHaveTheTypeThatTheyReturn) {
  expect_reference("_Z1fIiEiv");
  expect_reference("_ZN1A1fIiEEcv");
  expect_reference("_ZN1AC1IiEEi");
  expect_reference("_ZltIiEbT_");
  expect_unknown("_Z1fIiEPFvvEv");
}

// ---- The limits ----

TEST(DemangleLimits, OfDepth) {
  for (size_t depth = 20; depth < 40; depth++) {
    std::string const mangled = "_Z1f" + std::string(depth, 'P') + "i";
    if (depth <= 27) {
      expect_reference(mangled);
    } else {
      expect_unknown(mangled);
    }
  }
}

TEST(DemangleLimits, OfPartsThatMayBeNamedAgain) {
  for (size_t parts = 90; parts < 100; parts++) {
    std::string mangled = "_Z1f";
    for (size_t left = parts; left != 0; left -= left < 24 ? left : 24) { // each P makes one
      mangled += std::string(left < 24 ? left : 24, 'P') + "c";
    }
    if (parts <= 96) {
      expect_reference(mangled);
    } else {
      expect_unknown(mangled);
    }
  }
}

TEST(DemangleLimits, OfText) {
  size_t most = 0;
  for (size_t size = 1; size < 7000; size++) {
    std::string const name(size, 'n');
    std::string const found = name_of("_Z" + text_of(size) + name);
    EXPECT_TRUE(found.empty() || found == name) << size;
    most = found.empty() ? most : size;
  }
  EXPECT_EQ(most, RF_DEMANGLE_TEXT - 1);
  std::string classes = "_Z1f"; // each is written, and again with those before it
  for (int i = 100; i < 190; i++) {
    classes += "4c" + std::to_string(i);
    std::string const found = name_of(classes);
    EXPECT_TRUE(found.empty() || found == reference(classes)) << found;
  }
  expect_unknown(classes);
}

TEST(DemangleLimits, OfLengths) {
  expect_unknown("_Z0v");
  expect_unknown("_Z5Clas");
  expect_reference("_Z5Class");
  expect_unknown("_Z");
  expect_unknown("_Y1fv");
  expect_unknown("Z1fv");
  expect_unknown("_Z1fvX");
}

} // namespace
