// Browsers that are signed in, and secrets: by times to the millisecond, and by files that no service leaves.
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

extern "C" {
#include "tools/service/http/secret.h"
#include "tools/service/http/sessions.h"
}

namespace {

constexpr int64_t kLife = INT64_C(30) * 24 * 60 * 60 * 1000;
constexpr int64_t kNow = 1000000;

class Sessions : public testing::Test {
protected:
  Sessions() : folder_(testing::TempDir() + "/sessionsXXXXXX") {
    EXPECT_NE(mkdtemp(&folder_[0]), nullptr);
    read();
  }
  ~Sessions() override { rf_bump_arena_free(&arena_); }

  std::string path(const char *name = "sessions") const { return folder_ + "/" + name; }

  // As the next process begins.
  void read(int64_t now = kNow) { rf_sessions_init(&sessions_, folder_.c_str(), now); }

  std::string begin(const std::string &token, int64_t now = kNow) {
    const char *const secret = rf_sessions_begin(&sessions_, token.c_str(), now);
    return secret != nullptr ? secret : "";
  }

  std::string token(const std::string &secret, int64_t now = kNow) const {
    const char *const token = rf_sessions_token(&sessions_, secret.c_str(), now);
    return token != nullptr ? token : "";
  }

  bool is_there(const char *name) const { return access(path(name).c_str(), F_OK) == 0; }

  void write(const std::string &text, mode_t mode = 0600) const {
    std::ofstream(path(), std::ios::trunc) << text;
    EXPECT_EQ(chmod(path().c_str(), mode), 0);
  }

  std::string folder_;
  rf_sessions sessions_ = {};
  rf_bump_arena arena_ = {nullptr};
};

TEST_F(Sessions, EndAfterThirtyDaysToTheMillisecond) {
  std::string const secret = begin("token");
  EXPECT_EQ(token(secret, kNow + kLife - 1), "token");
  EXPECT_EQ(token(secret, kNow + kLife), "");
  read(kNow + kLife - 1);
  EXPECT_EQ(sessions_.count, 1U);
  EXPECT_EQ(token(secret, kNow + kLife - 1), "token");
  read(kNow + kLife);
  EXPECT_EQ(sessions_.count, 0U) << "it is not even kept";
}

TEST_F(Sessions, ThoseThatHaveEndedAreForgottenByTheNext) {
  (void)begin("first");
  std::string const second = begin("second", kNow + 1);
  std::string const third = begin("third", kNow + kLife);
  EXPECT_EQ(sessions_.count, 2U);
  EXPECT_EQ(token(second), "second");
  EXPECT_EQ(token(third), "third");
  read();
  EXPECT_EQ(sessions_.count, 2U) << "nor are they in the file";
}

TEST_F(Sessions, AllButTheOldestStayWhereThereAreTooMany) {
  std::vector<std::string> secrets;
  for (unsigned i = 0; i < RF_SESSIONS + 2; i++) {
    secrets.push_back(begin("token" + std::to_string(i)));
  }
  for (unsigned again = 0; again < 2; again++) {
    EXPECT_EQ(sessions_.count, static_cast<size_t>(RF_SESSIONS));
    for (unsigned i = 0; i < secrets.size(); i++) {
      EXPECT_EQ(token(secrets[i]), i < 2 ? "" : "token" + std::to_string(i)) << again;
    }
    read();
  }
}

TEST_F(Sessions, AFileWithMoreIsReadUpToTheMost) {
  std::string text;
  for (unsigned i = 0; i < RF_SESSIONS + 2; i++) {
    text += std::to_string(kNow + 1) + " " + std::string(RF_SESSION_DIGITS - 2, 'a') + std::to_string(10 + i) + " t\n";
  }
  write(text);
  read();
  EXPECT_EQ(sessions_.count, static_cast<size_t>(RF_SESSIONS));
}

TEST_F(Sessions, LinesThatAreNoneArePassedOver) {
  std::string const digits(RF_SESSION_DIGITS, 'a');
  std::string const line = std::to_string(kNow + 1) + " " + digits + " " + std::string(RF_TOKEN_LENGTH, 't');
  write("\n" + line.substr(0, line.size() / 3) + "\n" + std::to_string(kNow + 1) + " " + digits.substr(1) + " t\n" +
        std::string(500, '1') + "\n" + line);
  read();
  ASSERT_EQ(sessions_.count, 1U);
  EXPECT_EQ(token(digits), std::string(RF_TOKEN_LENGTH, 't')) << "without a line feed at the end";
  EXPECT_EQ(token(digits.substr(1)), "");
  write(line, 0640);
  read();
  EXPECT_EQ(sessions_.count, 0U) << "others may have read it";
}

TEST_F(Sessions, AFileThatWasLeftHalfWrittenIsReplaced) {
  std::ofstream(path("sessions.part")) << "half";
  std::string const secret = begin("token");
  EXPECT_FALSE(is_there("sessions.part"));
  read();
  EXPECT_EQ(token(secret), "token");
}

TEST_F(Sessions, EndWithTheProcessWhereTheFileCannotBeWritten) {
  ASSERT_EQ(mkdir(path().c_str(), 0700), 0);
  std::string const secret = begin("token");
  EXPECT_EQ(token(secret), "token");
  EXPECT_FALSE(is_there("sessions.part")) << "no secret is left there";
  read();
  EXPECT_EQ(sessions_.count, 0U);
}

TEST_F(Sessions, StayInTheirFileWhereTheDiskHasNoRoomForOneMore) {
  std::string const first = begin("first");
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit little = before;
  little.rlim_cur = 100;
  auto const handler = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &little), 0);
  std::string const second = begin("second");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(token(second), "second");
  EXPECT_FALSE(is_there("sessions.part"));
  read();
  EXPECT_EQ(token(first), "first");
  EXPECT_EQ(sessions_.count, 1U);
}

TEST_F(Sessions, SecretsAreEqualToTheLastCharacterAlone) {
  EXPECT_TRUE(rf_secret_is_equal("abc", "abc"));
  EXPECT_TRUE(rf_secret_is_equal("", ""));
  for (const char *const other : {"xbc", "axc", "abx", "ab", "abcd", "", "aba"}) {
    EXPECT_FALSE(rf_secret_is_equal(other, "abc")) << other;
  }
  EXPECT_FALSE(rf_secret_is_equal("a", ""));
  EXPECT_FALSE(rf_secret_is_equal("aaaa", "aaa")) << "where all that is compared is the same";
}

TEST_F(Sessions, SecretsHaveUpTo64Digits) {
  char text[80];
  for (size_t const digits : {2U, 32U, 64U}) {
    ASSERT_TRUE(rf_secret_random(text, digits));
    EXPECT_EQ(strlen(text), digits);
    EXPECT_EQ(strspn(text, "0123456789abcdef"), digits);
  }
  EXPECT_FALSE(rf_secret_random(text, 66));
}

TEST_F(Sessions, ASecretIsReadFromAFileOfItsOwnerAlone) {
  const char *error = nullptr;
  EXPECT_STREQ(rf_secret_read(&arena_, path().c_str(), &error), "") << "there is none";
  write("secret");
  EXPECT_STREQ(rf_secret_read(&arena_, path().c_str(), &error), "secret");
  for (mode_t const mode : {0640, 0620, 0604, 0601}) {
    write("secret", mode);
    EXPECT_EQ(rf_secret_read(&arena_, path().c_str(), &error), nullptr) << mode;
    EXPECT_STREQ(error, "must be a file that only its owner may read (mode 0600)");
  }
  write("secret");
  ASSERT_EQ(symlink(path().c_str(), path("link").c_str()), 0);
  EXPECT_EQ(rf_secret_read(&arena_, path("link").c_str(), &error), nullptr);
  EXPECT_STREQ(error, strerror(ELOOP));
}

} // namespace
