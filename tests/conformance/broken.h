// Allocators that are broken on purpose, one fault each, to prove that the suite sees it.
#ifndef RINGFENCE_TESTS_CONFORMANCE_BROKEN_H
#define RINGFENCE_TESTS_CONFORMANCE_BROKEN_H

#include <ringfence/conformance.h>

namespace ringfence::conformance {

enum class Fault {
  kNone,                        // sound: the suite must pass
  kServesDefaultAlignmentsOnly, // sound where the subject says so by max_align
  kAlignsToDefaultOnly,
  kCheckRaisesFaults,
  kCountsFailedResize,
  kCountsPeakOfFailures,
  kCountsRefusedFree,
  kCountsRejectedSizes,
  kDeinitTwiceWrites,
  kDoesNotCountFailures,
  kFindsDamageInSoundHeap,
  kForgetsBytesAbove4GiB,
  kHandsOutABlockTwice,
  kKeepsLiveCountInAGlobal,
  kLeavesTheArena,
  kLosesAByteAtEachFree,
  kNeverReusesMemory,
  kObeysDoubleFree,
  kObeysInteriorFree,
  kOverstatesLargestFree,
  kOverstatesUsableSize,
  kOwnsEverything,
  kPeakFollowsUsed,
  kReallocDropsContents,
  kReallocFreesOnFailure,
  kReallocIgnoresAlignment,
  kReallocNeverGrowsInPlace,
  kRefusesInSilence,
  kReportsSoundFrees,
  kResizeLies,
  kUsableSizeOfFreedBlocks,
  kUsedIsRoundedUp,
  kWalkMissesFreeBlocks,
  kWalkMissesUsedBlocks,
  kWalkNeverStops,
  kWastesTheLastBlock,
  kWrapsLargeSizes,
  kWritesBeforeTheArena,
  kWrongAnswerToDoubleFree,
  kZeroSizeGivesNull,
};

// The allocator with that fault. One at a time: the next call changes what earlier subjects make.
const rf_conformance_subject &broken_subject(Fault fault);

} // namespace ringfence::conformance

#endif // RINGFENCE_TESTS_CONFORMANCE_BROKEN_H
