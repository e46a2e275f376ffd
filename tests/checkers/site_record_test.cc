// Call sites for the record with which a process ends: what is listed, and that it is listed once.
#include <gtest/gtest.h>

#include <dlfcn.h>
#include <link.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/checkers/json_value.h"
#include "tests/checkers/two_at_once.h"
#include "tests/checkers/unwinder_path.h"

#include "checkers/os/seen_sites.h"
extern "C" {
#include "checkers/os/modules.h"
#include "checkers/report/site_record.h"
}

namespace {

std::function<void()> in_load;

} // namespace

// The linker puts it in front of that of //checkers.
extern "C" void __real_rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count);
extern "C" void __wrap_rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count);
extern "C" void __wrap_rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count) {
  std::function<void()> work;
  work.swap(in_load);
  if (work) {
    work();
  }
  __real_rf_modules_load(modules, traces, count);
}

namespace ringfence {
namespace {

// Code of the test itself; no call returns to these addresses.
uintptr_t site(size_t number) {
  return reinterpret_cast<uintptr_t>(&rf_site_record) + number;
}

// Sites stay for the life of a process: each test has one of its own.
void alone(const std::function<void()> &test) {
  pid_t const child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    rf_seen_sites_begin();
    test();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

struct Listed {
  size_t count;
  size_t first;
  size_t dropped;
  size_t upto;
  std::vector<rf_seen_site> sites;
};

Listed listed() {
  Listed l = {};
  l.sites.resize(RF_SEEN_SITES);
  l.count = rf_seen_sites_copy(l.sites.data(), &l.first, &l.upto, &l.dropped);
  return l;
}

// A record of `process` arrives.
void tell(uint32_t process) {
  Listed const l = listed();
  rf_seen_sites_told(l.sites.data(), l.upto, process);
}

Json record() {
  std::string const text = rf_site_record();
  Json json;
  EXPECT_TRUE(Json::parse((text.empty() ? "{" : "{" + text.substr(1)) + "}\n", json)) << text;
  rf_site_record_told();
  return json;
}

TEST(SeenSites, AreKeptOnceEachAndCountTheirBlocksOnPages) {
  alone([] {
    rf_seen_sites_add(site(1), false);
    rf_seen_sites_add(site(1), false);
    rf_seen_sites_add(site(2), true); // a call that frees
    rf_seen_sites_add(0, false);
    rf_seen_sites_watch(0);
    rf_seen_sites_watch(site(3));
    rf_seen_sites_watch(site(3));
    Listed const l = listed();
    ASSERT_EQ(l.count, 2U);
    EXPECT_EQ(l.first, 0U);
    EXPECT_EQ(l.dropped, 0U);
    EXPECT_EQ(l.sites[0].caller, site(1));
    EXPECT_EQ(l.sites[0].watched, 0U);
    EXPECT_EQ(l.sites[1].caller, site(3));
    EXPECT_EQ(l.sites[1].watched, 2U);
  });
}

TEST(SeenSites, CountFromZeroOnceTheyWereTold) {
  alone([] {
    rf_seen_sites_watch(site(1));
    rf_seen_sites_add(site(2), false);
    tell(7);
    Listed l = listed();
    ASSERT_EQ(l.count, 2U);
    EXPECT_EQ(l.first, 2U);
    EXPECT_EQ(l.sites[0].watched, 0U);
    EXPECT_EQ(l.sites[0].told_by, 7U);
    EXPECT_EQ(l.sites[1].told_by, 7U);
    rf_seen_sites_watch(site(2));
    rf_seen_sites_add(site(3), false);
    rf_seen_sites_forget(); // as a child of fork does
    l = listed();
    ASSERT_EQ(l.count, 3U);
    EXPECT_EQ(l.first, 3U);
    EXPECT_EQ(l.sites[1].watched, 0U);
    EXPECT_EQ(l.sites[1].told_by, 7U);
    EXPECT_EQ(l.sites[2].told_by, 0U);
    rf_seen_sites_watch(site(1));
    tell(8);
    EXPECT_EQ(listed().sites[0].told_by, 8U);
    EXPECT_EQ(listed().sites[1].told_by, 7U);
  });
}

TEST(SeenSites, BlocksThatCameSinceTheCopyAreStillToBeTold) {
  alone([] {
    rf_seen_sites_watch(site(1));
    Listed const l = listed();
    rf_seen_sites_watch(site(1));
    rf_seen_sites_watch(site(1));
    rf_seen_sites_told(l.sites.data(), l.upto, 7);
    EXPECT_EQ(listed().sites[0].watched, 2U);
  });
}

TEST(SeenSites, ThatWereToldOnceAreToldByThatProcess) {
  alone([] {
    rf_seen_sites_add(site(1), false);
    tell(7);
    rf_seen_sites_add(site(2), false);
    tell(8);
    EXPECT_EQ(listed().sites[0].told_by, 7U);
    EXPECT_EQ(listed().sites[1].told_by, 8U) << "the first that came since";
  });
}

TEST(SeenSites, AChildCountsAnew) {
  alone([] {
    for (size_t i = 1; i <= 3; i++) {
      rf_seen_sites_watch(site(i));
    }
    rf_seen_sites_forget();
    for (size_t i = 0; i < 3; i++) {
      EXPECT_EQ(listed().sites[i].watched, 0U) << i;
    }
  });
}

#ifdef RF_CAN_STEP

TEST(SeenSites, AddedTwiceAtOnceAreKeptOnce) {
  alone([] {
    size_t sites = 1;
    ringfence_test::two_at_once([&](unsigned) { rf_seen_sites_add(site(sites), false); }, [&] { sites++; });
    Listed const l = listed();
    for (size_t i = 1; i <= sites; i++) {
      auto const is_it = [i](const rf_seen_site &s) { return s.caller == site(i); };
      EXPECT_EQ(std::count_if(l.sites.begin(), l.sites.begin() + static_cast<ptrdiff_t>(l.count), is_it), 1) << i;
    }
    EXPECT_GT(l.count, sites) << "some were entered twice at first";
  });
}

TEST(SeenSites, WatchedTwiceAtOnceCountBoth) {
  alone([] {
    rf_seen_sites_watch(site(1));
    tell(7);
    ringfence_test::two_at_once([](unsigned) { rf_seen_sites_watch(site(1)); },
                                [] {
                                  EXPECT_EQ(listed().sites[0].watched, 2U);
                                  tell(7);
                                });
    EXPECT_EQ(listed().sites[0].watched, 1U);
  });
}

#endif

TEST(SeenSites, BeyondTheRoomAreCounted) {
  alone([] {
    for (size_t i = 0; i < RF_SEEN_SITES + 5; i++) {
      rf_seen_sites_add(site(i), false);
    }
    rf_seen_sites_add(site(0), false);
    rf_seen_sites_watch(site(RF_SEEN_SITES - 1));
    Listed l = listed();
    EXPECT_EQ(l.count, RF_SEEN_SITES);
    EXPECT_EQ(l.first, 0U);
    EXPECT_EQ(l.dropped, 5U);
    EXPECT_EQ(l.sites[RF_SEEN_SITES - 1].watched, 1U);
    tell(7);
    rf_seen_sites_add(site(RF_SEEN_SITES + 5), false);
    l = listed();
    EXPECT_EQ(l.count, RF_SEEN_SITES);
    EXPECT_EQ(l.first, RF_SEEN_SITES);
    EXPECT_EQ(l.dropped, 1U) << "five were told of";
    rf_seen_sites_forget(); // as a child of fork does
    EXPECT_EQ(listed().dropped, 0U) << "the parent tells of them";
    rf_seen_sites_add(site(RF_SEEN_SITES + 6), false);
    EXPECT_EQ(listed().dropped, 1U);
  });
}

TEST(SiteRecord, IsEmptyWithoutSites) {
  alone([] { EXPECT_STREQ(rf_site_record(), ""); });
}

TEST(SiteRecord, ListsEachSiteByItsModuleOnce) {
  alone([] {
    Dl_info library{}; // by a function that no sanitizer has in the program
    ASSERT_NE(dladdr(dlsym(RTLD_DEFAULT, "getppid"), &library), 0);
    auto const own = reinterpret_cast<uintptr_t>(library.dli_saddr) + 1;
    rf_seen_sites_watch(own);
    rf_seen_sites_watch(own);
    rf_seen_sites_add(site(8), false);
    rf_seen_sites_add(site(16), false);
    Json const first = record();
    ASSERT_EQ(first["sites"].items.size(), 2U);
    EXPECT_EQ(first["sites_dropped"].number, 0);
    for (const Json &module : first["sites"].items) {
      bool const is_library = module["path"].text == realpath(library.dli_fname, nullptr);
      EXPECT_EQ(module["sites"].number, is_library ? 1 : 2);
      EXPECT_EQ(module["watched"].items.size(), is_library ? 1U : 0U);
      EXPECT_EQ(module["unwatched"].items.size(), is_library ? 0U : 2U);
      if (is_library) {
        EXPECT_EQ(module["watched"].items.at(0).items.at(0).number,
                  static_cast<long long>(own - reinterpret_cast<uintptr_t>(library.dli_fbase)));
        EXPECT_EQ(module["watched"].items.at(0).items.at(1).number, 2);
      }
    }
    rf_seen_sites_watch(own);
    Json const second = record();
    ASSERT_EQ(second["sites"].items.size(), 2U) << "the program's own still runs";
    for (const Json &module : second["sites"].items) {
      EXPECT_EQ(module["sites"].number, 0);
      EXPECT_EQ(module["continued"].kind, Json::kTrue);
      bool const is_library = module["path"].text == realpath(library.dli_fname, nullptr);
      ASSERT_EQ(module["again"].items.size(), is_library ? 1U : 0U);
      if (is_library) {
        EXPECT_EQ(module["again"].items.at(0).items.at(1).number, 1) << "since the last record";
      }
    }
  });
}

TEST(SiteRecord, TellsAgainOfTheSitesOfARecordThatDidNotArrive) {
  alone([] {
    rf_seen_sites_watch(site(1));
    std::string const lost = rf_site_record();
    rf_seen_sites_watch(site(1));
    Json const told = record();
    ASSERT_EQ(told["sites"].items.size(), 1U) << lost;
    EXPECT_EQ(told["sites"].items[0]["sites"].number, 1);
    ASSERT_EQ(told["sites"].items[0]["watched"].items.size(), 1U);
    EXPECT_EQ(told["sites"].items[0]["watched"].items[0].items.at(1).number, 2);
  });
}

// A process that goes on tells of its sites, and at its end of its counts alone, without a new record.
TEST(SiteRecord, IsToldOnce) {
  alone([] {
    rf_seen_sites_watch(site(1));
    ASSERT_STRNE(rf_site_record(), "");
    rf_site_record_told();
    rf_seen_sites_watch(site(1));
    rf_site_record_told();
    EXPECT_EQ(listed().sites[0].watched, 1U);
  });
}

// In its copy of the memory the record is the parent's.
TEST(SiteRecord, ThatAParentMadeIsNotToldByItsChild) {
  alone([] {
    rf_seen_sites_watch(site(1));
    ASSERT_STRNE(rf_site_record(), "");
    pid_t const child = fork();
    if (child == 0) {
      rf_site_record_told();
      _exit(listed().sites[0].told_by == 0 && listed().sites[0].watched == 1 ? 0 : 1);
    }
    int status = 1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  });
}

// By another thread, which is not in the child.
TEST(SiteRecord, ThatAParentWasMakingDoesNotKeepItsChildFromMakingOne) {
  alone([] {
    rf_seen_sites_watch(site(1));
    in_load = [] {
      alone([] {
        rf_site_record_forked();
        EXPECT_EQ(record()["sites"].items.size(), 1U);
      });
    };
    EXPECT_EQ(record()["sites"].items.size(), 1U);
  });
}

TEST(SiteRecord, OfDroppedSitesAloneCountsThem) {
  alone([] {
    for (size_t i = 0; i < RF_SEEN_SITES; i++) {
      rf_seen_sites_add(site(i), false);
    }
    rf_seen_sites_forget(); // as a child of fork does: these are its parent's to tell
    rf_seen_sites_add(site(RF_SEEN_SITES), false);
    EXPECT_STREQ(rf_site_record(), ",\"sites\":[],\"sites_dropped\":1");
  });
}

// A child of fork: its parent told of the sites, or will.
TEST(SiteRecord, HasSitesOfBeforeAForkWhereTheyHadBlocksSince) {
  alone([] {
    rf_seen_sites_add(site(1), false);
    rf_seen_sites_add(site(2), false);
    rf_seen_sites_forget();
    EXPECT_STREQ(rf_site_record(), "");
    rf_seen_sites_watch(site(2));
    Json const told = record();
    ASSERT_EQ(told["sites"].items.size(), 1U);
    EXPECT_EQ(told["sites"].items[0]["sites"].number, 1);
    ASSERT_EQ(told["sites"].items[0]["watched"].items.size(), 1U);
    EXPECT_EQ(told["sites"].items[0]["unwatched"].items.size(), 0U);
  });
}

// The code of each module that is of a file.
int take_code(dl_phdr_info *info, size_t, void *places) {
  bool const own = static_cast<std::vector<uintptr_t> *>(places)->empty();
  for (size_t i = 0; (own || info->dlpi_name[0] == '/') && i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
      static_cast<std::vector<uintptr_t> *>(places)->push_back(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + 1);
      return 0;
    }
  }
  return 0;
}

TEST(SiteRecord, HasAllModulesOfTheProcess) {
  alone([] {
    std::vector<uintptr_t> places;
    dl_iterate_phdr(take_code, &places);
    ASSERT_GT(places.size(), 4U);
    for (uintptr_t const place : places) {
      rf_seen_sites_add(place, false);
    }
    Json const told = record();
    EXPECT_EQ(told["sites"].items.size(), places.size());
    EXPECT_EQ(told["sites_dropped"].number, 0);
  });
}

// The record of before named more modules than there are now.
TEST(SiteRecord, DropsSitesOfModulesThatAreUnmapped) {
  alone([] {
    std::vector<uintptr_t> before;
    std::vector<uintptr_t> places;
    dl_iterate_phdr(take_code, &before);
    void *const library = dlopen("libBrokenLocale.so.1", RTLD_NOW);
    ASSERT_NE(library, nullptr) << dlerror();
    dl_iterate_phdr(take_code, &places);
    ASSERT_GT(places.size(), before.size()) << "the program has it already";
    rf_seen_sites_add(site(1), false);
    rf_seen_sites_add(places.back(), false);
    EXPECT_EQ(record()["sites"].items.size(), 2U);
    ASSERT_EQ(dlclose(library), 0);
    rf_seen_sites_add(site(2), false);
    rf_seen_sites_add(places.back() + 1, false);
    Json const told = record();
    EXPECT_EQ(told["sites"].items.size(), 1U);
    EXPECT_EQ(told["sites_dropped"].number, 1);
  });
}

// Each byte of its name is written with six letters.
TEST(SiteRecord, AModuleForWhichThereIsNoRoomIsDroppedWhole) {
  std::string folder = testing::TempDir() + "site_record_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::vector<std::string> folders = {folder};
  for (int i = 0; i < 3; i++) {
    folders.push_back(folders.back() + "/" + std::string(200, '\x01'));
    ASSERT_EQ(mkdir(folders.back().c_str(), 0700), 0);
  }
  std::string const copy = folders.back() + "/copy.so";
  ASSERT_TRUE(std::filesystem::copy_file(ringfence::unwinder_path(), copy));
  alone([&copy] {
    void *const library = dlopen(copy.c_str(), RTLD_NOW);
    ASSERT_NE(library, nullptr) << dlerror();
    void *const function = dlsym(library, "_Unwind_Backtrace");
    ASSERT_NE(function, nullptr);
    for (size_t i = 0; i < RF_SEEN_SITES - 1; i++) {
      rf_seen_sites_add(site(i), false);
    }
    rf_seen_sites_add(reinterpret_cast<uintptr_t>(function) + 1, false);
    Json const told = record();
    EXPECT_EQ(told["sites"].items.size(), 1U);
    EXPECT_EQ(told["sites_dropped"].number, 1);
  });
  std::filesystem::remove_all(folder);
}

// A function's last instruction may be a call that never returns: the address behind it is the end of the code.
TEST(SiteRecord, HasASiteAtTheVeryEndOfItsModule) {
  alone([] {
    rf_trace trace = {};
    trace.depth = 1;
    trace.frames[0] = site(1);
    const rf_trace *const traces[] = {&trace};
    static rf_modules modules;
    rf_modules_load(&modules, traces, 1);
    ASSERT_EQ(modules.count, 1U);
    rf_seen_sites_add(modules.modules[0].end, false);
    Json const told = record();
    ASSERT_EQ(told["sites"].items.size(), 1U);
    EXPECT_EQ(told["sites"].items[0]["unwatched"].items.size(), 1U);
    EXPECT_EQ(told["sites_dropped"].number, 0);
  });
}

// As many as there are, in whole traces and with some left over.
TEST(SiteRecord, CountsTheSitesThatItHasNoRoomFor) {
  for (size_t const count : {size_t{31}, size_t{32}, size_t{33}, size_t{RF_SEEN_SITES}}) {
    alone([count] {
      for (size_t i = 0; i < count; i++) {
        rf_seen_sites_add(site(i), false);
      }
      Json const told = record();
      ASSERT_EQ(told["sites"].items.size(), 1U);
      EXPECT_EQ(told["sites"].items[0]["sites"].number, static_cast<long long>(count));
      EXPECT_EQ(told["sites_dropped"].number, 0);
      size_t const listed_there = told["sites"].items[0]["unwatched"].items.size();
      EXPECT_EQ(listed_there == count, count < 1000) << listed_there;
      EXPECT_GT(listed_there, count < 1000 ? 30U : 1000U);
    });
  }
}

TEST(SiteRecord, CountsSitesOfNoFileAsDropped) {
  alone([] {
    static unsigned char data[8];
    rf_seen_sites_add(reinterpret_cast<uintptr_t>(data), false);
    rf_seen_sites_add(site(8), false);
    EXPECT_EQ(record()["sites_dropped"].number, 1);
  });
}

} // namespace
} // namespace ringfence
