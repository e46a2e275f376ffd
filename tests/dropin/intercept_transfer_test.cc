// Calls that have the system read or write memory (checkers/dropin/process/intercept_transfer.c): after a failure, or
// where less was moved than was asked for, the memory that explains it is looked at and no other. The functions behind,
// and which memory is closed, are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/process/intercept_transfer.h"
}
#undef _Static_assert

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

constexpr size_t kPage = 4096;

// Each page may be closed: to a call, and to a look.
alignas(kPage) char memory[8 * kPage];

struct World {
  std::vector<std::string> looks; // "read page+offset size"
  size_t asked = 0;               // of the system, by the last look
  std::vector<size_t> closed;     // pages
  std::vector<size_t> unreadable; // pages that are not the store's
  ssize_t result = -1;
  int error = EFAULT;
};

World world;
char the_store;

bool meets(const std::vector<size_t> &pages, const void *start, size_t size) {
  auto const at = reinterpret_cast<uintptr_t>(start);
  return std::any_of(pages.begin(), pages.end(), [&](size_t page) {
    uintptr_t const from = reinterpret_cast<uintptr_t>(memory) + page * kPage;
    return at < from + kPage && at + size > from;
  });
}

std::string name_of(const void *start) {
  auto const offset = reinterpret_cast<uintptr_t>(start) - reinterpret_cast<uintptr_t>(memory);
  return offset < sizeof memory ? std::to_string(offset / kPage) + "+" + std::to_string(offset % kPage) : "elsewhere";
}

ssize_t their_recvmsg(int, msghdr *, int) {
  errno = world.error;
  return world.result;
}
ssize_t their_sendmsg(int, const msghdr *, int) {
  errno = world.error;
  return world.result;
}

} // namespace

extern "C" {

rf_guarded_blocks_state rf_guarded_blocks;

void *__real_dlsym(void *handle, const char *name);

void *__wrap_dlsym(void *handle, const char *name) {
  if (std::strcmp(name, "recvmsg") == 0) {
    return reinterpret_cast<void *>(their_recvmsg);
  }
  return std::strcmp(name, "sendmsg") == 0 ? reinterpret_cast<void *>(their_sendmsg) : __real_dlsym(handle, name);
}

bool __wrap_rf_page_store_report_transfer(rf_page_store *, const void *start, size_t size, size_t asked,
                                          rf_access access, const rf_origin *) {
  world.asked = asked;
  world.looks.push_back((access == RF_ACCESS_READ ? "read " : "write ") + name_of(start) + " " + std::to_string(size));
  errno = 77;
  return meets(world.closed, start, size);
}

bool __wrap_rf_host_readable(const void *start, size_t size) {
  errno = 78;
  return start != nullptr && !meets(world.closed, start, size) && !meets(world.unreadable, start, size);
}

bool rf_process_uses(const void *, const rf_origin *) {
  return true;
}

void rf_stream_buffer_refused(FILE *, const rf_origin *) {}
}

namespace ringfence_test {
namespace {

using Looks = std::vector<std::string>;

char *page(size_t number, size_t offset = 0) {
  return memory + number * kPage + offset;
}

const rf_origin kOrigin = {nullptr, 1, nullptr};

class InterceptTransfer : public testing::Test {
protected:
  InterceptTransfer() {
    world = World();
    std::memset(memory, 0, sizeof memory);
    rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
  }

  static Looks looks_of(const std::function<void()> &act, int error = EFAULT) {
    world.looks.clear();
    errno = error;
    act();
    EXPECT_EQ(errno, error) << "the call's own";
    return world.looks;
  }

  static Looks after(size_t size, ssize_t result, int error = EFAULT) {
    return looks_of([&] { rf_transfer_look(page(1), size, result, RF_ACCESS_WRITE, &kOrigin); }, error);
  }
};

TEST_F(InterceptTransfer, AfterAFailureAllOfTheMemoryIsLookedAt) {
  EXPECT_EQ(after(100, -1), Looks{"write 1+0 100"});
  EXPECT_EQ(world.asked, 100U);
  EXPECT_EQ(after(100, -1, EIO), Looks()) << "another error";
}

TEST_F(InterceptTransfer, AfterAShortOneTheByteWhereItStopped) {
  EXPECT_EQ(after(100, 40, 0), Looks{"write 1+40 1"});
  EXPECT_EQ(world.asked, 60U) << "the rest";
  EXPECT_EQ(after(100, 0, 0), Looks{"write 1+0 1"});
  EXPECT_EQ(after(100, 99, 0), Looks{"write 1+99 1"});
  EXPECT_EQ(after(100, 100, 0), Looks()) << "nothing is missing";
  EXPECT_EQ(after(0, 0, 0), Looks());
}

// ---- Lists ----

Looks after_list(const std::vector<iovec> &list, ssize_t result, int error = 0) {
  world.looks.clear();
  errno = error;
  rf_transfer_look_list(list.data(), static_cast<int>(list.size()), result, RF_ACCESS_READ, &kOrigin);
  EXPECT_EQ(errno, error);
  Looks found = world.looks;
  if (result < 0 && error == EFAULT && !found.empty()) {
    EXPECT_EQ(found[0], "read elsewhere " + std::to_string(list.size() * sizeof(iovec))) << "the list itself";
    found.erase(found.begin());
  }
  return found;
}

TEST_F(InterceptTransfer, OfAListThePieceWhereItStopped) {
  std::vector<iovec> const list = {{page(1), 10}, {page(2), 20}, {page(3), 30}};
  EXPECT_EQ(after_list(list, 0), Looks{"read 1+0 1"});
  EXPECT_EQ(after_list(list, 9), Looks{"read 1+9 1"});
  EXPECT_EQ(after_list(list, 10), Looks{"read 2+0 1"});
  EXPECT_EQ(after_list(list, 35), Looks{"read 3+5 1"});
  EXPECT_EQ(after_list(list, 60), Looks());
  EXPECT_EQ(after_list(list, -1, EIO), Looks());
  EXPECT_EQ(after_list(list, -1, EFAULT), (Looks{"read 1+0 10", "read 2+0 20", "read 3+0 30"}));
  world.closed = {2};
  EXPECT_EQ(after_list(list, -1, EFAULT), (Looks{"read 1+0 10", "read 2+0 20"})) << "that explains it";
}

TEST_F(InterceptTransfer, ListsThatTheSystemRefusesOrCannotReadAreNotRead) {
  std::vector<iovec> const most(1024, {page(1), 1});
  EXPECT_EQ(after_list(most, 1023), Looks{"read 1+0 1"});
  std::vector<iovec> const more(1025, {page(1), 1});
  EXPECT_EQ(after_list(more, 0), Looks());
  auto *const list = reinterpret_cast<iovec *>(page(4));
  list[0] = {page(1), 10};
  for (bool const closed : {true, false}) {
    world.closed = closed ? std::vector<size_t>{4} : std::vector<size_t>();
    world.unreadable = {4};
    EXPECT_EQ(looks_of([&] { rf_transfer_look_list(list, 1, -1, RF_ACCESS_WRITE, &kOrigin); }),
              Looks{"read 4+0 " + std::to_string(sizeof(iovec))});
  }
  EXPECT_EQ(looks_of([&] { rf_transfer_look_list(list, 0, -1, RF_ACCESS_WRITE, &kOrigin); }), Looks());
  EXPECT_EQ(looks_of([&] { rf_transfer_look_list(list, -1, -1, RF_ACCESS_WRITE, &kOrigin); }), Looks());
}

// ---- Messages ----

class InterceptMessage : public InterceptTransfer {
protected:
  InterceptMessage() {
    list_->iov_base = page(1);
    list_->iov_len = 10;
    message_->msg_iov = list_;
    message_->msg_iovlen = 1;
    message_->msg_name = page(2);
    message_->msg_namelen = 20;
    message_->msg_control = page(3);
    message_->msg_controllen = 30;
  }

  // Without the look at the message and at its list.
  Looks after(bool receives, ssize_t result, int error = EFAULT) {
    world.result = result;
    world.error = error;
    Looks all = looks_of([&] { (void)(receives ? recvmsg(0, message_, 0) : sendmsg(0, message_, 0)); }, error);
    all.erase(std::remove_if(all.begin(), all.end(),
                             [](const std::string &look) { return look.find(" 5+") != std::string::npos; }),
              all.end());
    return all;
  }

  msghdr *const message_ = reinterpret_cast<msghdr *>(page(5));
  iovec *const list_ = reinterpret_cast<iovec *>(page(5, 1024));
};

TEST_F(InterceptMessage, ThatFailsIsLookedAtUntilSomethingExplainsIt) {
  EXPECT_EQ(after(true, -1), (Looks{"write 1+0 10", "write 2+0 20", "write 3+0 30"}));
  EXPECT_EQ(after(false, -1), (Looks{"read 1+0 10", "read 2+0 20", "read 3+0 30"}));
  world.closed = {2};
  EXPECT_EQ(after(true, -1), (Looks{"write 1+0 10", "write 2+0 20"}));
  world.closed = {1};
  EXPECT_EQ(after(true, -1), Looks{"write 1+0 10"});
  EXPECT_EQ(after(true, -1, EIO), Looks());
}

TEST_F(InterceptMessage, ThatIsShortIsLookedAtWhereItStopped) {
  EXPECT_EQ(after(true, 4, 0), Looks{"write 1+4 1"});
  EXPECT_EQ(after(true, 0, 0), Looks{"write 1+0 1"});
  EXPECT_EQ(after(true, 10, 0), Looks());
}

TEST_F(InterceptMessage, ThatCannotBeReadOrIsTooLongIsNotRead) {
  world.unreadable = {5};
  EXPECT_EQ(after(true, -1), Looks());
  world.unreadable.clear();
  message_->msg_iovlen = 1025;
  EXPECT_EQ(after(true, -1), Looks());
  rf_guarded_blocks.store = nullptr;
  message_->msg_iovlen = 1;
  EXPECT_EQ(after(true, -1), Looks()) << "no memory is closed";
}

// The system knows no flags yet, and says so.
TEST_F(InterceptTransfer, CallsOnOtherProcessesReachTheSystemAsTheyAre) {
  iovec const from = {page(1), 10};
  iovec const to = {page(2), 10};
  std::memset(page(1), 'x', 10);
  for (auto const each : {process_vm_readv, process_vm_writev}) {
    errno = 0;
    EXPECT_EQ(each(getpid(), &to, 1, &from, 1, 1), -1);
    EXPECT_EQ(errno, EINVAL);
  }
  ssize_t const copied = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
  EXPECT_TRUE(copied == 10 ? *page(2, 9) == 'x' : copied == -1) << "unless a sandbox refuses it";
}

// ---- Strings and pieces ----

Looks after_pieces(const std::vector<rf_transfer_piece> &pieces) {
  world.looks.clear();
  errno = EFAULT;
  rf_transfer_look_pieces(pieces.data(), pieces.size(), &kOrigin);
  EXPECT_EQ(errno, EFAULT);
  return world.looks;
}

TEST_F(InterceptTransfer, AStringIsReadUpToItsEndPageByPage) {
  std::memset(page(1), 'x', 3 * kPage);
  EXPECT_EQ(after_pieces({{page(1, 100), 0, RF_ACCESS_READ, true}}),
            (Looks{"read 1+100 1", "read 2+0 1", "read 3+0 1", "read 4+0 1"}));
  *page(2, 50) = '\0';
  EXPECT_EQ(after_pieces({{page(1, 100), 0, RF_ACCESS_READ, true}}), (Looks{"read 1+100 1", "read 2+0 1"}));
  *page(1, kPage - 1) = '\0';
  EXPECT_EQ(after_pieces({{page(1, 100), 0, RF_ACCESS_READ, true}}), Looks{"read 1+100 1"}) << "the page's last byte";
  *page(1, kPage - 1) = 'x';
  world.unreadable = {2};
  EXPECT_EQ(after_pieces({{page(1, 100), 0, RF_ACCESS_READ, true}}), (Looks{"read 1+100 1", "read 2+0 1"}));
}

TEST_F(InterceptTransfer, OfPiecesTheFirstThatIsClosed) {
  std::vector<rf_transfer_piece> const pieces = {{page(1), 10, RF_ACCESS_READ, false},
                                                 {page(2), 0, RF_ACCESS_WRITE, false},
                                                 {page(3), 30, RF_ACCESS_WRITE, false},
                                                 {page(4), 40, RF_ACCESS_READ, false}};
  EXPECT_EQ(after_pieces(pieces), (Looks{"read 1+0 10", "write 3+0 30", "read 4+0 40"}));
  world.closed = {3};
  EXPECT_EQ(after_pieces(pieces), (Looks{"read 1+0 10", "write 3+0 30"}));
}

TEST_F(InterceptTransfer, OfAListOfStringsTheFirstThatIsClosed) {
  auto **const list = reinterpret_cast<char **>(page(6));
  std::string const place = std::to_string(sizeof(char *));
  list[0] = page(1);
  list[1] = page(2);
  list[2] = nullptr;
  bool found = true;
  auto const looks = [&] { return looks_of([&] { found = rf_transfer_look_strings(list, &kOrigin); }); };
  auto const at = [&](size_t i) { return "read 6+" + std::to_string(i * sizeof(char *)) + " " + place; };
  EXPECT_EQ(looks(), (Looks{at(0), "read 1+0 1", at(1), "read 2+0 1", at(2)}));
  EXPECT_FALSE(found);
  world.closed = {1};
  EXPECT_EQ(looks(), (Looks{at(0), "read 1+0 1"}));
  EXPECT_TRUE(found);
  world.closed = {6};
  EXPECT_EQ(looks(), Looks{at(0)});
  EXPECT_TRUE(found);
  world.closed.clear();
  world.unreadable = {6};
  EXPECT_EQ(looks(), Looks{at(0)});
  EXPECT_FALSE(found);
  EXPECT_FALSE(rf_transfer_look_strings(nullptr, &kOrigin));
}

} // namespace
} // namespace ringfence_test
