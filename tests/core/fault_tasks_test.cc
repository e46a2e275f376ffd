// Scopes of faults where no variable belongs to a thread, over a port that this file plays: tasks come in between each
// other and interrupts in between tasks, all on one core.
#include <ringfence/fault.h>
#include <ringfence/port.h>

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/core/recorder.h"

namespace {

uint32_t g_task = 1;
bool g_in_interrupt;
int g_locks; // held now
void (*g_at_lock)();

} // namespace

extern "C" {
void rf_mutex_lock(rf_mutex *mutex) {
  (void)mutex;
  EXPECT_FALSE(g_in_interrupt) << "ports for systems take no mutex there";
  g_locks++;
  if (g_at_lock != nullptr) {
    void (*const come)() = g_at_lock;
    g_at_lock = nullptr;
    come();
  }
}
void rf_mutex_unlock(rf_mutex *mutex) {
  (void)mutex;
  g_locks--;
}
uint32_t rf_port_thread_id() {
  return g_in_interrupt ? UINT32_MAX : g_task;
}
bool rf_port_in_interrupt() {
  return g_in_interrupt;
}
void rf_port_log(const char *text, size_t len) {
  (void)text;
  (void)len;
}
void rf_port_panic() {
  std::abort();
}
}

namespace {

using ringfence::testing::FaultRecorder;

static_assert(RF_FAULT_THREAD_LOCAL == 0, "this test is about targets without such variables");

// A scope of one task, and how many faults came to it.
class Scope {
public:
  explicit Scope(uint32_t task) : task_(task) {
    g_task = task;
    rf_fault_scope_enter(&scope_, count, this);
  }
  void leave() {
    g_task = task_;
    rf_fault_scope_leave(&scope_);
  }
  size_t faults = 0;

private:
  static void count(const rf_fault *, void *context) {
    EXPECT_EQ(g_locks, 0) << "a handler may use locks of its own";
    static_cast<Scope *>(context)->faults++;
  }

  uint32_t task_;
  rf_fault_scope scope_{};
};

void refuse() {
  rf_fault_refuse(nullptr, RF_ERR_BAD_POINTER, "bad", nullptr, nullptr);
}

void refuse_in(uint32_t task) {
  g_task = task;
  refuse();
}

void interrupt(void (*handler)()) {
  g_in_interrupt = true;
  handler();
  g_in_interrupt = false;
}

TEST(FaultTasks, AnInterruptsFaultIsNoneOfTheScopeThatItInterrupts) {
  FaultRecorder program;
  Scope main(1);
  interrupt(refuse);
  EXPECT_EQ(program.faults().size(), 1U);
  EXPECT_EQ(main.faults, 0U);
  refuse_in(1);
  EXPECT_EQ(main.faults, 1U);
  main.leave();
}

TEST(FaultTasks, AnInterruptHasScopesOfItsOwn) {
  FaultRecorder program;
  Scope main(1);
  static size_t faults;
  faults = 0;
  interrupt([] {
    rf_fault_scope scope;
    rf_fault_scope_enter(
        &scope, [](const rf_fault *, void *) { faults++; }, nullptr);
    refuse();
    rf_fault_scope_leave(&scope);
    refuse();
  });
  EXPECT_EQ(faults, 1U);
  EXPECT_EQ(program.faults().size(), 1U);
  refuse_in(1);
  EXPECT_EQ(main.faults, 1U);
  main.leave();
}

TEST(FaultTasks, TasksLeaveTheirScopesInAnyOrder) {
  FaultRecorder program;
  Scope first(1);
  Scope second(2);
  refuse_in(1);
  EXPECT_EQ(first.faults, 1U);
  first.leave();
  refuse_in(1);
  EXPECT_EQ(program.faults().size(), 1U);
  refuse_in(2);
  EXPECT_EQ(second.faults, 1U);
  second.leave();
  refuse_in(1);
  refuse_in(2);
  EXPECT_EQ(program.faults().size(), 3U);
  EXPECT_EQ(first.faults, 1U);
  EXPECT_EQ(second.faults, 1U);
}

TEST(FaultTasks, ScopesOfATaskNestAroundThoseOfOthers) {
  FaultRecorder program;
  Scope outer(1);
  Scope other(2);
  Scope inner(1);
  refuse_in(1);
  inner.leave();
  refuse_in(1);
  other.leave();
  outer.leave();
  EXPECT_EQ(inner.faults, 1U);
  EXPECT_EQ(outer.faults, 1U);
  EXPECT_EQ(other.faults, 0U);
  EXPECT_TRUE(program.faults().empty());
}

TEST(FaultTasks, TheListIsChangedAndReadInsideTheLock) {
  FaultRecorder program;
  static int entered;
  entered = 0;
  auto const come = [] { entered += g_locks; };
  g_at_lock = come;
  Scope scope(1);
  g_at_lock = come;
  refuse_in(1);
  g_at_lock = come;
  scope.leave();
  EXPECT_EQ(entered, 3);
  EXPECT_EQ(g_locks, 0);
  EXPECT_EQ(scope.faults, 1U);
}

} // namespace
