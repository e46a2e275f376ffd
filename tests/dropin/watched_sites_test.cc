// Paths that had a block watched (checkers/dropin/malloc/watched_sites.c): the table, and the file that lasts. Each
// test and each process of one is a process of its own.
extern "C" {
#include "checkers/dropin/malloc/watched_sites.h"
}

#include "tests/dropin/alone.h"

#include <dirent.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

using ringfence_test::alone;

constexpr uint32_t kPlaces = 8192;
constexpr uint32_t kMost = kPlaces / 4 * 3;
constexpr uint32_t kWritten = 1024; // by one process

// A folder of the test's own, and what is in it.
class Folder {
public:
  Folder() {
    const char *const base = std::getenv("TEST_TMPDIR");
    path_ = std::string(base == nullptr ? "/tmp" : base) + "/sites.XXXXXX";
    EXPECT_NE(mkdtemp(&path_[0]), nullptr);
  }
  const std::string &path() const { return path_; }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    DIR *const list = opendir(path_.c_str());
    while (const dirent *entry = list == nullptr ? nullptr : readdir(list)) {
      if (entry->d_name[0] != '.') {
        names.push_back(path_ + "/" + entry->d_name);
      }
    }
    closedir(list);
    return names;
  }
  // The one file.
  std::string file() const {
    std::vector<std::string> const all = files();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? "" : all[0];
  }
  std::string text() const {
    std::ostringstream all;
    all << std::ifstream(file()).rdbuf();
    return all.str();
  }

private:
  std::string path_;
};

// One process that begins, adds and ends.
void run(const Folder &folder, const std::vector<uint32_t> &added) {
  alone([&] {
    rf_watched_sites_begin(folder.path().c_str());
    for (uint32_t const key : added) {
      EXPECT_TRUE(rf_watched_sites_add(key)) << key;
    }
    rf_watched_sites_end();
  });
}

void expect_known(const Folder &folder, const std::vector<uint32_t> &keys, bool known = true) {
  alone([&] {
    rf_watched_sites_begin(folder.path().c_str());
    for (uint32_t const key : keys) {
      EXPECT_EQ(rf_watched_sites_add(key), !known) << key;
    }
  });
}

// ---- The table ----

TEST(WatchedSites, AreNewOnce) {
  alone([] {
    for (uint32_t const key : {1U, 2U, 0xffffffffU, kPlaces - 1}) {
      EXPECT_TRUE(rf_watched_sites_add(key));
    }
    for (uint32_t const key : {1U, 2U, 0xffffffffU, kPlaces - 1}) {
      EXPECT_FALSE(rf_watched_sites_add(key));
    }
  });
}

// All of these meet in one place of the table, and all places behind serve them.
TEST(WatchedSites, FillThreeQuartersOfTheTable) {
  alone([] {
    for (uint32_t i = 1; i <= kMost; i++) {
      ASSERT_TRUE(rf_watched_sites_add(i * kPlaces)) << i;
    }
    EXPECT_FALSE(rf_watched_sites_add(1));
    EXPECT_FALSE(rf_watched_sites_add((kMost + 1) * kPlaces));
  });
}

// ---- The file ----

TEST(WatchedSites, OfOneProcessAreKnownToTheNext) {
  Folder const folder;
  std::vector<uint32_t> const keys = {0x00000001, 0x89abcdef, 0xffffffff, 0x10000000};
  run(folder, keys);
  EXPECT_EQ(folder.text(), "00000001\n89abcdef\nffffffff\n10000000\n");
  expect_known(folder, keys);
  expect_known(folder, {2, 0x9abcdef, 0xfffffff0}, false);
  run(folder, {3});
  EXPECT_EQ(folder.text(), "00000001\n89abcdef\nffffffff\n10000000\n00000003\n");
}

// A user may have written them.
TEST(WatchedSites, AreReadWithoutLeadingZeroes) {
  Folder const folder;
  run(folder, {7});
  std::ofstream(folder.file()) << "1\n2f\n\nabc\n";
  expect_known(folder, {1, 0x2f, 0xabc});
  expect_known(folder, {7, 0x12f, 0x2fabc, 0x12fabc}, false);
}

TEST(WatchedSites, AreWrittenByOneProcessUpToABound) {
  Folder const folder;
  std::vector<uint32_t> keys;
  for (uint32_t left = kWritten + 100; left != 0; left--) {
    keys.push_back(left);
  }
  run(folder, keys);
  EXPECT_EQ(folder.text().size(), size_t{9} * kWritten);
  expect_known(folder, {kWritten + 100, 101});
  expect_known(folder, {100, 1}, false);
  run(folder, {100});
  EXPECT_EQ(folder.text().size(), size_t{9} * (kWritten + 1));
}

TEST(WatchedSites, OfAParentAreTheParentsToWrite) {
  Folder const folder;
  alone([&] {
    rf_watched_sites_begin(folder.path().c_str());
    EXPECT_TRUE(rf_watched_sites_add(1));
    alone([] {
      rf_watched_sites_inherit();
      EXPECT_FALSE(rf_watched_sites_add(1));
      EXPECT_TRUE(rf_watched_sites_add(2));
      rf_watched_sites_end();
    });
    EXPECT_EQ(folder.text(), "00000002\n");
    rf_watched_sites_end();
    rf_watched_sites_end(); // nothing is written twice
  });
  EXPECT_EQ(folder.text(), "00000002\n00000001\n");
}

// The name has room for 510 bytes.
TEST(WatchedSites, HaveNoFileWhoseNameIsTooLong) {
  Folder const folder;
  run(folder, {1});
  size_t const name = folder.file().size() - folder.path().size(); // with its slash
  std::string path = folder.path();
  while (path.size() < 300) {
    path += "/" + std::string(90, 'd');
    ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  }
  for (size_t const whole : {510, 511, 512, 513}) {
    std::string const last = path + "/" + std::string(whole - name - path.size() - 1, 'e');
    ASSERT_EQ(mkdir(last.c_str(), 0700), 0);
    alone([&] {
      rf_watched_sites_begin(last.c_str());
      EXPECT_TRUE(rf_watched_sites_add(1));
      rf_watched_sites_end();
      DIR *const list = opendir(last.c_str());
      unsigned entries = 0;
      while (list != nullptr && readdir(list) != nullptr) {
        entries++;
      }
      closedir(list);
      EXPECT_EQ(entries, whole <= 510 ? 3U : 2U) << whole;
    });
  }
}

} // namespace
