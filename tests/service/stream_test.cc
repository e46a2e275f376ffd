// Listeners of the stream of events, second by second and without connections: the daemon's calls are the test's.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

extern "C" {
#include "tools/service/http/stream.h"
}

namespace {

// A connection of the daemon.
struct Listener {
  MHD_ContentReaderCallback give = nullptr;
  MHD_ContentReaderFreeCallback forget = nullptr;
  void *context = nullptr;
  MHD_ConnectionInfo info = {};
  bool suspended = false;
  bool ended = false;
  size_t room = 512;
  std::string sent;

  // As the daemon asks until there is nothing. Returns what came.
  std::string run() {
    std::string came;
    for (int i = 0; i < 100 && !suspended && !ended; i++) {
      std::vector<char> buffer(room);
      ssize_t const got = give(context, sent.size() + came.size(), buffer.data(), buffer.size());
      ended = got == MHD_CONTENT_READER_END_OF_STREAM;
      if (got > 0) {
        came.append(buffer.data(), static_cast<size_t>(got));
      }
    }
    EXPECT_TRUE(suspended || ended) << "it is asked for ever: " << came;
    sent += came;
    return came;
  }
};

Listener *opening;
bool refused;

Listener *listener_of(MHD_Connection *connection) {
  return reinterpret_cast<Listener *>(connection);
}

} // namespace

extern "C" {

void MHD_suspend_connection(MHD_Connection *connection) {
  EXPECT_FALSE(listener_of(connection)->suspended);
  listener_of(connection)->suspended = true;
}

void MHD_resume_connection(MHD_Connection *connection) {
  EXPECT_TRUE(listener_of(connection)->suspended) << "the daemon ends the process for that";
  listener_of(connection)->suspended = false;
}

const MHD_ConnectionInfo *MHD_get_connection_info(MHD_Connection *connection, MHD_ConnectionInfoType type, ...) {
  return type == MHD_CONNECTION_INFO_CONNECTION_FD ? &listener_of(connection)->info : nullptr;
}

MHD_Response *MHD_create_response_from_callback(uint64_t size, size_t, MHD_ContentReaderCallback give, void *context,
                                                MHD_ContentReaderFreeCallback forget) {
  EXPECT_EQ(size, MHD_SIZE_UNKNOWN);
  opening->give = give;
  opening->context = context;
  opening->forget = forget;
  return refused ? nullptr : reinterpret_cast<MHD_Response *>(opening);
}

} // extern "C"

namespace {

constexpr char kBeat[] = ":\n\n";

class Stream : public testing::Test {
protected:
  Stream() {
    refused = false;
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends_), 0);
  }

  ~Stream() override {
    (void)close(ends_[0]);
    (void)close(ends_[1]);
  }

  bool open(Listener *listener) {
    opening = listener;
    listener->info.connect_fd = ends_[0];
    return rf_streams_open(&streams_, reinterpret_cast<MHD_Connection *>(listener)) != nullptr;
  }

  std::string change() const { return "event: change\ndata: " + std::to_string(streams_.version) + "\n\n"; }

  // The next second.
  std::string tick(Listener *listener, bool changed = false) {
    rf_streams_tick(&streams_, changed);
    return listener->run();
  }

  int ends_[2];
  rf_streams streams_ = {};
};

TEST_F(Stream, BeginsWithTheVersionAndTellsEachChangeOnce) {
  Listener listener;
  streams_.version = 7;
  ASSERT_TRUE(open(&listener));
  EXPECT_EQ(listener.run(), "retry: 3000\nevent: hello\ndata: 7\n\n");
  EXPECT_EQ(tick(&listener), "");
  EXPECT_EQ(tick(&listener, true), "event: change\ndata: 8\n\n");
  EXPECT_EQ(tick(&listener), "");
  rf_streams_tick(&streams_, true);
  EXPECT_EQ(tick(&listener, true), "event: change\ndata: 10\n\n") << "the newest is enough";
}

TEST_F(Stream, OneThatIsQuietHearsABeatEachTimeItWasQuietForSoLong) {
  Listener listener;
  ASSERT_TRUE(open(&listener));
  (void)listener.run();
  std::map<int, std::string> heard;
  for (int second = 1; second <= 4 * RF_STREAM_BEAT; second++) {
    std::string const came = tick(&listener, second == RF_STREAM_BEAT + 3);
    if (!came.empty()) {
      heard[second] = came;
    }
  }
  EXPECT_EQ(heard, (std::map<int, std::string>{{RF_STREAM_BEAT, kBeat},
                                               {RF_STREAM_BEAT + 3, change()},
                                               {2 * RF_STREAM_BEAT + 3, kBeat},
                                               {3 * RF_STREAM_BEAT + 3, kBeat}}));
}

TEST_F(Stream, WhatFoundNoRoomIsToldTheNextSecond) {
  Listener listener;
  ASSERT_TRUE(open(&listener));
  (void)listener.run();
  listener.room = std::string("event: change\ndata: 1\n\n").size();
  EXPECT_EQ(tick(&listener, true), "") << "no room for the NUL";
  listener.room++;
  EXPECT_EQ(tick(&listener), change());
}

TEST_F(Stream, OneThatWasClosedEndsWithTheNextSecondAndTheOthersGoOn) {
  Listener gone;
  Listener stays;
  int others[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, others), 0);
  ASSERT_TRUE(open(&gone));
  ASSERT_TRUE(open(&stays));
  gone.info.connect_fd = others[0];
  (void)gone.run();
  (void)stays.run();
  (void)close(others[1]);
  EXPECT_EQ(tick(&gone), "");
  EXPECT_TRUE(gone.ended);
  gone.forget(gone.context);
  EXPECT_EQ(tick(&stays, true), "event: change\ndata: 1\n\n");
  EXPECT_FALSE(stays.ended);
  (void)close(others[0]);
}

TEST_F(Stream, HasRoomForSoManyAndForOthersInTheirPlaces) {
  std::vector<Listener> listeners(RF_STREAMS + 1);
  refused = true;
  EXPECT_FALSE(open(&listeners[0])) << "which takes no place";
  refused = false;
  for (size_t i = 0; i < RF_STREAMS; i++) {
    ASSERT_TRUE(open(&listeners[i])) << i;
    (void)listeners[i].run();
  }
  Listener *const late = &listeners[RF_STREAMS];
  EXPECT_FALSE(open(late));
  for (int second = 1; second < RF_STREAM_BEAT; second++) {
    rf_streams_tick(&streams_, false);
  }
  Listener *const last = &listeners[RF_STREAMS - 1];
  last->forget(last->context);
  ASSERT_TRUE(open(late));
  (void)late->run();
  EXPECT_EQ(tick(late), "") << "it has not been quiet for long";
  EXPECT_EQ(listeners[0].run(), kBeat);
}

TEST_F(Stream, EndsForAllWhetherTheyAreSuspendedOrNot) {
  Listener one;
  Listener other;
  ASSERT_TRUE(open(&one));
  ASSERT_TRUE(open(&other));
  (void)one.run();
  rf_streams_end(&streams_);
  EXPECT_EQ(one.run(), "");
  EXPECT_EQ(other.run(), "");
  EXPECT_TRUE(one.ended && other.ended);
}

} // namespace
