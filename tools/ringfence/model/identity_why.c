#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/model/identity.h"

#include <string.h>

static const char *const names[] = {"access", "allocation", "free"};

static unsigned first_difference(const rf_identity_stack *a, const rf_identity_stack *b) {
  unsigned i = 0;
  while (i < a->count && i < b->count && strcmp(a->frames[i], b->frames[i]) == 0) {
    i++;
  }
  return i;
}

rf_identity_difference rf_identity_compare(const rf_identity *a, const rf_identity *b) {
  rf_identity_difference out = {.versions = a->version != b->version, .same_bug = a->bug == b->bug};
  out.one = !out.versions && a->group == b->group;
  for (unsigned kind = 0; kind < 3; kind++) {
    const rf_identity_stack *const left = &a->stacks[kind];
    const rf_identity_stack *const right = &b->stacks[kind];
    bool const both = !out.versions && left->key != 0 && right->key != 0;
    out.stacks[kind] = !both ? RF_COMPARED_ABSENT : left->key == right->key ? RF_COMPARED_EQUAL : RF_COMPARED_DIFFERENT;
    out.first[kind] = out.stacks[kind] == RF_COMPARED_DIFFERENT ? first_difference(left, right) : 0;
    out.related = out.related || (!out.one && out.stacks[kind] == RF_COMPARED_EQUAL);
  }
  return out;
}

/* ---- In words ---- */

static const char *parts_text(unsigned parts) {
  static const char *const texts[] = {"the allocator, since no stack is known",
                                      "the access",
                                      "the allocation",
                                      "the allocation and the access",
                                      "the free",
                                      "the access and the free",
                                      "the allocation and the free",
                                      "all three stacks"};
  return texts[parts & 7U];
}

static const char *frame_at(const rf_identity_stack *stack, unsigned i) {
  return i < stack->count ? stack->frames[i] : "the end of the stack";
}

static void put_stack(const rf_sink *sink, const rf_identity *a, const rf_identity *b, const rf_identity_difference *d,
                      unsigned kind) {
  const rf_identity_stack *const left = &a->stacks[kind];
  const rf_identity_stack *const right = &b->stacks[kind];
  rf_sink_str(sink, names[kind]);
  if (d->stacks[kind] == RF_COMPARED_EQUAL) {
    rf_sink_str(sink, ": equal, at ");
    rf_sink_str(sink, frame_at(left, 0));
  } else if (d->stacks[kind] == RF_COMPARED_DIFFERENT) {
    rf_sink_str(sink, ": differs at frame ");
    rf_sink_uint(sink, d->first[kind]);
    rf_sink_str(sink, ", ");
    rf_sink_str(sink, frame_at(left, d->first[kind]));
    rf_sink_str(sink, " and ");
    rf_sink_str(sink, frame_at(right, d->first[kind]));
  } else {
    rf_sink_str(sink, left->key == right->key ? ": unknown in both"
                      : left->key != 0        ? ": known only in the first"
                                              : ": known only in the second");
  }
  rf_sink_str(sink, (a->parts | b->parts) >> kind & 1U ? "\n" : " (does not count for this kind)\n");
}

const char *rf_identity_why(rf_bump_arena *arena, const rf_identity *a, const rf_identity *b) {
  rf_identity_difference const d = rf_identity_compare(a, b);
  rf_text_sink text;
  rf_text_sink_init(&text, arena);
  const rf_sink *const sink = &text.sink;
  if (d.versions) {
    return "not comparable: their keys come from two versions of the algorithm\n";
  }
  rf_sink_str(sink, d.one ? "one bug: " : d.related ? "two bugs, perhaps related: " : "two bugs: ");
  rf_sink_str(sink, rf_bug_name(a->bug));
  if (!d.same_bug) {
    rf_sink_str(sink, " and ");
    rf_sink_str(sink, rf_bug_name(b->bug));
  } else {
    rf_sink_str(sink, " is grouped by ");
    rf_sink_str(sink, parts_text(a->parts));
  }
  if (a->parts != b->parts && d.same_bug) {
    rf_sink_str(sink, ", the other by ");
    rf_sink_str(sink, parts_text(b->parts));
  }
  rf_sink_str(sink, "\n");
  for (unsigned kind = 0; kind < 3; kind++) {
    put_stack(sink, a, b, &d, kind);
  }
  return text.text;
}
