// Turns of requests, without connections: the clock, the kinds of requests and the daemon's calls are the test's.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

extern "C" {
#include "tools/service/http/request.h"
#include "tools/service/http/turns.h"
}

namespace {

int64_t now;
std::vector<MHD_Connection *> suspended;
std::vector<MHD_Connection *> resumed;

struct Request : rf_request {
  Request() : rf_request{} { connection = reinterpret_cast<MHD_Connection *>(this); }
  rf_turn_kind kind = RF_TURN_AT_ONCE;
};

} // namespace

extern "C" {

void MHD_suspend_connection(MHD_Connection *connection) {
  suspended.push_back(connection);
}

void MHD_resume_connection(MHD_Connection *connection) {
  resumed.push_back(connection);
}

int64_t rf_store_steady(void) {
  return now;
}

rf_turn_kind rf_route_turn(const rf_request *r) {
  return static_cast<const Request *>(r)->kind;
}

} // extern "C"

namespace {

class Turns : public testing::Test {
protected:
  Turns() {
    suspended.clear();
    resumed.clear();
    now = 1000;
  }

  Request *request(rf_turn_kind kind) {
    all_.push_back(std::make_unique<Request>());
    all_.back()->kind = kind;
    return all_.back().get();
  }

  Request *waiting(rf_turn_kind kind) {
    Request *const r = request(kind);
    EXPECT_TRUE(rf_turns_wait(&turns_, r));
    EXPECT_EQ(suspended.back(), r->connection);
    return r;
  }

  // Those that were resumed since the last call.
  static std::vector<Request *> taken() {
    std::vector<Request *> out;
    for (MHD_Connection *const c : resumed) {
      out.push_back(reinterpret_cast<Request *>(c));
      EXPECT_TRUE(out.back()->its_turn);
      EXPECT_EQ(out.back()->next_turn, nullptr);
    }
    resumed.clear();
    return out;
  }

  Request *next() {
    EXPECT_TRUE(rf_turns_next(&turns_));
    std::vector<Request *> const found = taken();
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? nullptr : found.back();
  }

  rf_turns turns_ = {};
  std::vector<std::unique_ptr<Request>> all_;
};

TEST_F(Turns, ARunHasTimeUntilItIsOver) {
  rf_turns_begin(&turns_);
  now += RF_TURNS_MS - 1;
  EXPECT_TRUE(rf_turns_have_time(&turns_));
  EXPECT_FALSE(rf_turns_wait(&turns_, request(RF_TURN_PAGE)));
  now += 1;
  EXPECT_FALSE(rf_turns_have_time(&turns_));
  EXPECT_FALSE(rf_turns_wait(&turns_, request(RF_TURN_AT_ONCE)));
  Request *const late = waiting(RF_TURN_PAGE);
  rf_turns_begin(&turns_);
  EXPECT_TRUE(rf_turns_have_time(&turns_));
  EXPECT_TRUE(rf_turns_wait(&turns_, request(RF_TURN_RECORDS))) << "whoever came before goes first";
  EXPECT_FALSE(rf_turns_wait(&turns_, request(RF_TURN_AT_ONCE)));
  EXPECT_EQ(next(), late);
  EXPECT_FALSE(rf_turns_wait(&turns_, late)) << "it has waited";
}

TEST_F(Turns, KindsTakeThemInTurnAndListsWithoutArgumentsGoFirst) {
  std::array<std::vector<Request *>, RF_TURN_KINDS> of;
  for (int i = 0; i < 3; i++) {
    for (int const kind : {RF_TURN_RECORDS, RF_TURN_PAGE, RF_TURN_PROGRAM}) {
      of[static_cast<size_t>(kind)].push_back(waiting(static_cast<rf_turn_kind>(kind)));
    }
  }
  for (size_t round = 0; round < 3; round++) {
    EXPECT_EQ(next(), of[RF_TURN_PAGE][round]);
    Request *const first = waiting(RF_TURN_FIRST);
    EXPECT_EQ(next(), first);
    EXPECT_EQ(next(), of[RF_TURN_PROGRAM][round]);
    EXPECT_EQ(next(), of[RF_TURN_RECORDS][round]);
  }
  EXPECT_FALSE(rf_turns_are_waited_for(&turns_));
  EXPECT_FALSE(rf_turns_next(&turns_));
}

// A connection that was closed on the other side, or by the daemon for others.
TEST_F(Turns, WhoIsGoneIsResumedBesideTheNextOne) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  rf_connection open = {};
  rf_connection closed = {};
  open.fd = ends[0];
  closed.fd = -1;
  std::vector<Request *> const waits = {waiting(RF_TURN_PAGE), waiting(RF_TURN_PAGE), waiting(RF_TURN_PAGE),
                                        waiting(RF_TURN_PAGE)};
  waits[0]->entry = &closed;
  waits[1]->entry = &open;
  EXPECT_TRUE(rf_turns_is_gone(waits[0]));
  EXPECT_FALSE(rf_turns_is_gone(waits[1]));
  EXPECT_FALSE(rf_turns_is_gone(waits[2]));
  EXPECT_TRUE(rf_turns_next(&turns_));
  EXPECT_EQ(taken(), (std::vector<Request *>{waits[0], waits[1]}));
  waits[2]->entry = &open;
  waits[3]->entry = &open;
  (void)shutdown(ends[1], SHUT_WR);
  EXPECT_TRUE(rf_turns_is_gone(waits[2]));
  EXPECT_FALSE(rf_turns_next(&turns_)) << "nobody is left who is there";
  EXPECT_EQ(taken(), (std::vector<Request *>{waits[2], waits[3]}));
  Request *const records = request(RF_TURN_RECORDS);
  Request *const page = request(RF_TURN_PAGE);
  records->entry = &open;
  page->entry = &open;
  EXPECT_FALSE(rf_turns_wait(&turns_, records)) << "all of them have come, and would be lost";
  EXPECT_TRUE(rf_turns_wait(&turns_, page));
  (void)close(ends[0]);
  (void)close(ends[1]);
}

// Any order of arrivals, turns and ends is that of a list for each kind.
TEST_F(Turns, AreThoseOfAListForEachKindWhateverEnds) {
  std::mt19937 dice(7);
  for (int round = 0; round < 200; round++) {
    std::array<std::deque<Request *>, RF_TURN_KINDS> model;
    size_t last = static_cast<size_t>(turns_.last);
    for (int step = 0; step < 60; step++) {
      size_t const kind = dice() % RF_TURN_KINDS;
      switch (dice() % 4) {
      case 0:
      case 1:
        model[kind].push_back(waiting(static_cast<rf_turn_kind>(kind)));
        break;
      case 2: {
        size_t const place = model[kind].empty() ? 0 : dice() % model[kind].size();
        rf_turns_forget(&turns_, model[kind].empty() ? request(RF_TURN_PAGE) : model[kind][place]);
        if (!model[kind].empty()) {
          model[kind].erase(model[kind].begin() + static_cast<ptrdiff_t>(place));
        }
        break;
      }
      default: {
        size_t from = model[RF_TURN_FIRST].empty() ? last : size_t{RF_TURN_FIRST};
        for (size_t i = 0; model[RF_TURN_FIRST].empty() && i < RF_TURN_KINDS; i++) {
          from = (from + 1) % RF_TURN_KINDS;
          if (!model[from].empty()) {
            last = from;
            break;
          }
        }
        if (model[from].empty()) {
          EXPECT_FALSE(rf_turns_next(&turns_));
        } else {
          ASSERT_EQ(next(), model[from].front());
          model[from].pop_front();
        }
      }
      }
      ASSERT_EQ(rf_turns_are_waited_for(&turns_),
                std::any_of(model.begin(), model.end(), [](const auto &list) { return !list.empty(); }));
    }
    std::vector<Request *> rest;
    for (const auto &list : model) {
      rest.insert(rest.end(), list.begin(), list.end());
    }
    rf_turns_end(&turns_);
    ASSERT_EQ(taken(), rest);
    EXPECT_TRUE(turns_.ending);
  }
}

} // namespace
