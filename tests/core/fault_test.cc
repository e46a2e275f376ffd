#include <ringfence/allocator.h>
#include <ringfence/fault.h>
#include <ringfence/port.h>

#include "tests/checkers/single_step.h"
#include "tests/core/recorder.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

std::function<void()> after_lock;

} // namespace

// The linker puts this in front of the port's.
extern "C" {
void __real_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_lock(rf_mutex *mutex);

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  __real_rf_mutex_lock(mutex);
  if (after_lock) {
    after_lock();
  }
}
}

namespace {

using ringfence::testing::FaultRecorder;

const rf_allocator_ops kNamed = {
    "heap17", nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
    nullptr,  nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
};
const rf_site kSite = {"demo.c", "main", 6};

void *at(uintptr_t address) {
  return reinterpret_cast<void *>(address);
}

std::string printed(const rf_fault &fault) {
  char text[256];
  rf_sink_buffer b;
  rf_sink_buffer_init(&b, text, sizeof text);
  rf_fault_print(&fault, &b.sink);
  return text;
}

// An address as rf_sink_ptr writes it.
std::string address(const std::string &digits) {
  return "0x" + std::string(2 * sizeof(void *) - digits.size(), '0') + digits;
}

TEST(FaultTest, PrintsEverythingThatIsKnownOnOneLine) {
  rf_allocator named = {&kNamed};
  rf_fault const fault = {RF_ERR_NOT_ALLOCATED, "freed twice", &named, at(0x1a2b), &kSite};
  EXPECT_EQ(printed(fault),
            "ringfence: heap17: freed twice at " + address("1a2b") + ", called from demo.c:6 in main\n");
}

TEST(FaultTest, PrintsTheStatusWhereNoPhraseIsGiven) {
  rf_fault const fault = {RF_ERR_NOT_ALLOCATED, nullptr, nullptr, at(0x10), nullptr};
  EXPECT_EQ(printed(fault), "ringfence: double free at " + address("10") + "\n");
}

TEST(FaultTest, RaisingHandsTheFaultToTheHandlerAndGivesItsStatus) {
  FaultRecorder recorder;
  rf_fault const fault = {RF_ERR_CORRUPT, "damaged", nullptr, at(0x20), &kSite};
  EXPECT_EQ(rf_fault_raise(&fault), RF_ERR_CORRUPT);
  ASSERT_EQ(recorder.faults().size(), 1U);
  EXPECT_EQ(recorder.faults()[0].ptr, at(0x20));
  EXPECT_EQ(recorder.faults()[0].site, &kSite);
}

TEST(FaultTest, RefusingMakesTheFaultFromItsParts) {
  FaultRecorder recorder;
  rf_allocator named = {&kNamed};
  EXPECT_EQ(rf_fault_refuse(&named, RF_ERR_BAD_POINTER, "from elsewhere", at(0x30), &kSite), RF_ERR_BAD_POINTER);
  ASSERT_EQ(recorder.faults().size(), 1U);
  const rf_fault &fault = recorder.faults()[0];
  EXPECT_EQ(fault.status, RF_ERR_BAD_POINTER);
  EXPECT_STREQ(fault.what, "from elsewhere");
  EXPECT_EQ(fault.allocator, &named);
  EXPECT_EQ(fault.ptr, at(0x30));
  EXPECT_EQ(fault.site, &kSite);
}

TEST(FaultTest, TheLogHandlerWritesTheLineAndGoesOn) {
  rf_fault_handler_set(rf_fault_log, nullptr);
  rf_fault const fault = {RF_ERR_CORRUPT, "damaged", nullptr, at(0x20), nullptr};
  testing::internal::CaptureStderr();
  EXPECT_EQ(rf_fault_raise(&fault), RF_ERR_CORRUPT);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "ringfence: damaged at " + address("20") + "\n");
  rf_fault_handler_set(nullptr, nullptr);
}

TEST(FaultTest, TheLogHandlerEndsALineThatIsTooLong) {
  std::string const file(1000, 'f');
  rf_site const site = {file.c_str(), "main", 1};
  rf_fault const fault = {RF_ERR_CORRUPT, "damaged", nullptr, at(0x20), &site};
  testing::internal::CaptureStderr();
  rf_fault_log(&fault, nullptr);
  std::string const text = testing::internal::GetCapturedStderr();
  EXPECT_LT(text.size(), 300U);
  EXPECT_EQ(text.substr(0, 24), "ringfence: damaged at 0x");
  EXPECT_EQ(text.back(), '\n');
}

// Counts the faults that come to it.
class Counter {
public:
  static void count(const rf_fault *, void *context) { static_cast<Counter *>(context)->faults++; }
  size_t faults = 0;
};

TEST(FaultScopeTest, TakesFaultsAsideUntilItIsLeft) {
  FaultRecorder recorder;
  Counter outer;
  Counter inner;
  rf_fault_scope outer_scope;
  rf_fault_scope inner_scope;
  rf_fault_scope_enter(&outer_scope, Counter::count, &outer);
  EXPECT_EQ(rf_fault_refuse(nullptr, RF_ERR_CORRUPT, "one", nullptr, nullptr), RF_ERR_CORRUPT);
  rf_fault_scope_enter(&inner_scope, Counter::count, &inner);
  rf_fault_refuse(nullptr, RF_ERR_CORRUPT, "two", nullptr, nullptr);
  rf_fault_scope_leave(&inner_scope);
  rf_fault_refuse(nullptr, RF_ERR_CORRUPT, "three", nullptr, nullptr);
  rf_fault_scope_leave(&outer_scope);
  EXPECT_EQ(recorder.faults().size(), 0U);
  rf_fault_refuse(nullptr, RF_ERR_CORRUPT, "four", nullptr, nullptr);
  EXPECT_EQ(outer.faults, 2U);
  EXPECT_EQ(inner.faults, 1U);
  EXPECT_EQ(recorder.faults().size(), 1U);
}

TEST(FaultScopeTest, ConcernsItsThreadOnly) {
  FaultRecorder recorder;
  Counter here;
  rf_fault_scope scope;
  rf_fault_scope_enter(&scope, Counter::count, &here);
  std::thread([] { rf_fault_refuse(nullptr, RF_ERR_CORRUPT, "elsewhere", nullptr, nullptr); }).join();
  rf_fault_scope_leave(&scope);
  EXPECT_EQ(here.faults, 0U);
  EXPECT_EQ(recorder.faults().size(), 1U);
}

TEST(FaultDeathTest, TheDefaultHandlerWritesTheLineAndStopsTheProgram) {
  rf_fault const fault = {RF_ERR_CORRUPT, "damaged", nullptr, at(0x20), nullptr};
  EXPECT_DEATH(rf_fault_raise(&fault), "^ringfence: damaged at 0x0*20\n");
}

TEST(FaultDeathTest, NullRestoresTheDefaultHandler) {
  rf_fault_handler_set(rf_fault_log, nullptr);
  rf_fault_handler_set(nullptr, nullptr);
  rf_fault const fault = {RF_ERR_CORRUPT, "damaged", nullptr, at(0x20), nullptr};
  EXPECT_DEATH(rf_fault_raise(&fault), "ringfence: damaged");
}

// ---- Takers, which stay for as long as the process ----

struct Taken {
  bool wanted = false;
  unsigned count = 0;
};

Taken &taken() {
  static Taken state;
  return state;
}

rf_fault_filter &filter() {
  static rf_fault_filter only = {[](const rf_fault *) {
                                   taken().count += taken().wanted ? 1 : 0;
                                   return taken().wanted;
                                 },
                                 nullptr};
  return only;
}

TEST(FaultTest, ATakerComesBeforeTheHandlerAndMayLeaveTheFaultToIt) {
  FaultRecorder recorder;
  rf_fault_filter_add(&filter());
  rf_fault_filter_add(&filter()); // no loop in the list
  rf_fault const fault = {RF_ERR_BAD_POINTER, nullptr, nullptr, at(0x30), nullptr};
  taken() = {false, 0};
  EXPECT_EQ(rf_fault_raise(&fault), RF_ERR_BAD_POINTER);
  EXPECT_EQ(recorder.faults().size(), 1U);
  taken().wanted = true;
  EXPECT_EQ(rf_fault_raise(&fault), RF_ERR_BAD_POINTER);
  EXPECT_EQ(recorder.faults().size(), 1U);
  EXPECT_EQ(taken().count, 1U);
  taken().wanted = false;
}

// Until the lock is held another thread is in the middle of adding the filter, behind the first one.
TEST(FaultTest, NoFilterIsLostWhereThreadsAddThemAtOnce) {
  static unsigned asked;
  static auto const count = [](const rf_fault *) {
    asked++;
    return false;
  };
  static rf_fault_filter first = {count, nullptr};
  static rf_fault_filter second = {count, nullptr};
  rf_fault_filter_add(&first);
  rf_fault_filter *const behind = first.next;
  first.next = &second;
  after_lock = [behind] { first.next = behind; };
  rf_fault_filter_add(&second);
  after_lock = nullptr;
  first.next = behind;
  FaultRecorder recorder;
  rf_fault const fault = {RF_ERR_BAD_POINTER, nullptr, nullptr, at(0x30), nullptr};
  (void)rf_fault_raise(&fault);
  EXPECT_EQ(asked, 2U);
}

#ifdef RF_CAN_STEP

// Another thread may raise a fault at any moment meanwhile.
TEST(FaultTest, TheFiltersOfBeforeAreAskedAtEveryInstructionOfAnother) {
  constexpr unsigned kMost = 2000; // instructions
  static rf_fault_filter added[kMost];
  FaultRecorder recorder;
  rf_fault const fault = {RF_ERR_BAD_POINTER, nullptr, nullptr, at(0x30), nullptr};
  rf_fault_filter_add(&filter());
  unsigned steps = 1;
  bool more = true;
  for (; more && steps < kMost && !HasFailure(); steps++) {
    rf_fault_filter *const last = &added[steps];
    last->filter = [](const rf_fault *) { return false; };
    taken() = {true, 0};
    more = ringfence_test::run_with_other_after(
        steps, [last] { rf_fault_filter_add(last); }, [&fault] { (void)rf_fault_raise(&fault); });
    EXPECT_EQ(taken().count, more ? 1U : 0U) << "after " << steps << " instructions";
    last->next = &filter(); // so that the search through the list does not become longer
  }
  EXPECT_FALSE(more) << "the end was reached";
  EXPECT_TRUE(recorder.faults().empty());
  taken().wanted = false;
}

#endif

TEST(FaultTest, AScopeComesBeforeATaker) {
  FaultRecorder recorder;
  rf_fault_scope scope;
  unsigned scoped = 0;
  rf_fault_filter_add(&filter());
  taken() = {true, 0};
  rf_fault_scope_enter(
      &scope, [](const rf_fault *, void *context) { ++*static_cast<unsigned *>(context); }, &scoped);
  rf_fault const fault = {RF_ERR_BAD_POINTER, nullptr, nullptr, at(0x30), nullptr};
  (void)rf_fault_raise(&fault);
  rf_fault_scope_leave(&scope);
  EXPECT_EQ(scoped, 1U);
  EXPECT_EQ(taken().count, 0U);
  taken().wanted = false;
}

} // namespace
