// The suite proves itself: it passes a sound allocator and fails each broken one, in the check that is about the fault.
#include "tests/conformance/broken.h"
#include "tests/conformance/suite.h"
#include "tests/core/unwatched.h"

#include <gtest/gtest.h>

#include <ostream>
#include <set>
#include <stdexcept>
#include <string>

namespace ringfence::conformance {
namespace {

std::set<std::string> failing_checks(const Subject &subject) {
  std::set<std::string> failing;
  for (const Check &check : all_checks()) {
    if (applies(check, subject) && run(check, subject).has_value()) {
      failing.insert(check.name);
    }
  }
  return failing;
}

TEST(SuiteTest, PassesASoundAllocator) {
  EXPECT_EQ(failing_checks(broken_subject(Fault::kNone)), std::set<std::string>());
}

TEST(SuiteTest, PassesASoundAllocatorThatServesNoLargeAlignment) {
  Subject subject = broken_subject(Fault::kServesDefaultAlignmentsOnly);
  subject.max_align = RF_ALIGN_DEFAULT;
  EXPECT_EQ(failing_checks(subject), std::set<std::string>());
}

TEST(SuiteTest, LeavesOutWhatASubjectDoesNotClaim) {
  Subject subject = broken_subject(Fault::kOwnsEverything);
  EXPECT_NE(failing_checks(subject), std::set<std::string>());
  subject.traits &= ~static_cast<unsigned>(RF_SUBJECT_OWNS);
  EXPECT_EQ(failing_checks(subject), std::set<std::string>());
}

Check check_named(const std::string &name) {
  for (const Check &check : all_checks()) {
    if (check.name == name) {
      return check;
    }
  }
  throw std::out_of_range(name);
}

TEST(SuiteTest, RestoresTheFaultHandler) {
  ASSERT_EQ(run(check_named("DoubleFreeIsRefused"), broken_subject(Fault::kNone)), std::nullopt);
  rf_fault const fault = {RF_ERR_CORRUPT, "after the suite", nullptr, nullptr, nullptr};
  EXPECT_DEATH(rf_fault_raise(&fault), "after the suite");
}

TEST(SuiteTest, GivesEveryCheckANameOfItsOwn) {
  std::set<std::string> names;
  for (const Check &check : all_checks()) {
    EXPECT_TRUE(names.insert(check.name).second) << check.name;
  }
}

struct Expectation {
  Fault fault;
  const char *name;
  const char *check;
};

std::ostream &operator<<(std::ostream &out, const Expectation &e) {
  return out << e.name;
}

#define BROKEN(fault, check)                                                                                           \
  { Fault::k##fault, #fault, #check }

const Expectation kExpectations[] = {
    BROKEN(AlignsToDefaultOnly, AlignmentsFrom1To4096AreHonoured),
    BROKEN(CheckRaisesFaults, CheckAnswersWhateverIsDamaged),
    BROKEN(CountsFailedResize, ResizeAnswersAsPromised),
    BROKEN(CountsPeakOfFailures, AFailureRaisesNoPeak),
    BROKEN(CountsRefusedFree, DoubleFreeIsRefused),
    BROKEN(CountsRejectedSizes, SizesBeyondTheLimitGiveNull),
    BROKEN(DeinitTwiceWrites, ASecondDeinitIsHarmless),
    BROKEN(DoesNotCountFailures, SizesUpToTheLimitFailAndCount),
    BROKEN(FindsDamageInSoundHeap, ANewAllocatorIsEmpty),
    BROKEN(HandsOutABlockTwice, LiveBlocksNeverOverlap),
    BROKEN(KeepsLiveCountInAGlobal, SeveralInstancesDoNotDisturbEachOther),
    BROKEN(LeavesTheArena, EverySizeIsServed),
    BROKEN(LosesAByteAtEachFree, WhenAllIsFreedTheHeapIsAsAfterInit),
    BROKEN(NeverReusesMemory, AfterExhaustionAFreedBlockCanBeTakenAgain),
    BROKEN(ObeysDoubleFree, DoubleFreeIsRefused),
    BROKEN(ObeysInteriorFree, PointersIntoABlockAreRefused),
    BROKEN(OverstatesLargestFree, TheLargestFreeBlockIsServedAndNothingLarger),
    BROKEN(OverstatesUsableSize, EveryUsableByteMayBeWritten),
    BROKEN(OwnsEverything, LiveBlocksAreOwnedAndForeignMemoryIsNot),
    BROKEN(PeakFollowsUsed, PeaksStayWhenBlocksGo),
    BROKEN(ReallocDropsContents, ReallocKeepsContents),
    BROKEN(ReallocFreesOnFailure, ReallocThatFailsLeavesTheBlock),
    BROKEN(ReallocIgnoresAlignment, ReallocHonoursAlignment),
    BROKEN(ReallocNeverGrowsInPlace, ReallocGrowsIntoTheFreeBlockBehind),
    BROKEN(RefusesInSilence, ForeignPointersAreRefused),
    BROKEN(ReportsSoundFrees, EverySizeIsServed),
    BROKEN(ResizeLies, ResizeAnswersAsPromised),
    BROKEN(UsableSizeOfFreedBlocks, AFreedBlockHasNoUsableBytes),
    BROKEN(UsedIsRoundedUp, UsedIsWhatWasRequested),
    BROKEN(WalkMissesFreeBlocks, ANewAllocatorIsEmpty),
    BROKEN(WalkMissesUsedBlocks, EverySizeIsServed),
    BROKEN(WalkNeverStops, AWalkEndsWhenToldTo),
    BROKEN(WastesTheLastBlock, TheLargestFreeBlockIsServedAndNothingLarger),
    BROKEN(WrapsLargeSizes, SizesUpToTheLimitFailAndCount),
    BROKEN(WritesBeforeTheArena, ANewAllocatorIsEmpty),
    BROKEN(WrongAnswerToDoubleFree, DoubleFreeIsRefused),
    BROKEN(ZeroSizeGivesNull, AllocOfZeroGivesABlockToFree),
#if SIZE_MAX > UINT32_MAX
    BROKEN(ForgetsBytesAbove4GiB, ArenasAndBlocksAbove4GiBWork),
#endif
};

std::string name_of(const testing::TestParamInfo<Expectation> &e) {
  return e.param.name;
}

class BrokenTest : public testing::TestWithParam<Expectation> {
  Unwatched unwatched_; // what they do wrong would be stopped before the suite sees it
};

TEST_P(BrokenTest, FailsTheCheckThatIsAboutIt) {
  Check const check = check_named(GetParam().check);
  const Subject &subject = broken_subject(GetParam().fault);
  ASSERT_TRUE(applies(check, subject));
  EXPECT_NE(run(check, subject), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Suite, BrokenTest, testing::ValuesIn(kExpectations), name_of);

} // namespace
} // namespace ringfence::conformance
