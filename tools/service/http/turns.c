#include "tools/service/http/turns.h"

#include "tools/service/http/request.h"

#include <poll.h>
#include <stddef.h>

void rf_turns_begin(rf_turns *turns) {
  turns->until = rf_store_steady() + RF_TURNS_MS;
}

bool rf_turns_have_time(const rf_turns *turns) {
  return rf_store_steady() < turns->until;
}

bool rf_turns_are_waited_for(const rf_turns *turns) {
  bool any = false;
  for (int kind = 0; kind < RF_TURN_KINDS; kind++) {
    any = any || turns->waiting[kind].first != NULL;
  }
  return any;
}

static bool sends_no_more(const rf_request *r) {
  struct pollfd fd = {r->entry == NULL ? -1 : r->entry->fd, POLLRDHUP, 0};
  return poll(&fd, 1, 0) == 1;
}

/* When it is resumed, libmicrohttpd closes a connection by which nothing can come any more: records that came by it
 * must not wait. */
static bool has_to_wait(const rf_turns *turns, const rf_request *r, rf_turn_kind kind) {
  return kind != RF_TURN_AT_ONCE && !r->its_turn && (rf_turns_are_waited_for(turns) || !rf_turns_have_time(turns)) &&
         (kind != RF_TURN_RECORDS || !sends_no_more(r));
}

bool rf_turns_wait(rf_turns *turns, rf_request *r) {
  rf_turn_kind const kind = rf_route_turn(r);
  if (!has_to_wait(turns, r, kind)) {
    return false;
  }
  rf_request **const end =
      turns->waiting[kind].first == NULL ? &turns->waiting[kind].first : &turns->waiting[kind].last->next_turn;
  *end = r;
  turns->waiting[kind].last = r;
  MHD_suspend_connection(r->connection);
  return true;
}

static void resume_first(rf_turns *turns, int kind) {
  rf_request *const r = turns->waiting[kind].first;
  turns->waiting[kind].first = r->next_turn;
  r->next_turn = NULL;
  r->its_turn = true;
  MHD_resume_connection(r->connection);
}

bool rf_turns_is_gone(const rf_request *r) {
  return r->entry != NULL && (r->entry->fd < 0 || sends_no_more(r));
}

/* libmicrohttpd does not look at suspended connections, and has room for so many. */
static bool resume_one(rf_turns *turns, int kind) {
  bool resumed = false;
  while (turns->waiting[kind].first != NULL && !resumed) {
    resumed = !rf_turns_is_gone(turns->waiting[kind].first);
    resume_first(turns, kind);
  }
  return resumed;
}

bool rf_turns_next(rf_turns *turns) {
  if (resume_one(turns, RF_TURN_FIRST)) {
    return true;
  }
  for (int i = 1; i <= RF_TURN_KINDS; i++) {
    int const kind = (turns->last + i) % RF_TURN_KINDS;
    if (resume_one(turns, kind)) {
      turns->last = kind;
      return true;
    }
  }
  return false;
}

void rf_turns_forget(rf_turns *turns, const rf_request *r) {
  for (int kind = 0; kind < RF_TURN_KINDS; kind++) {
    rf_request *before = NULL;
    rf_request **at = &turns->waiting[kind].first;
    while (*at != NULL && *at != r) {
      before = *at;
      at = &before->next_turn;
    }
    if (*at != NULL) {
      *at = r->next_turn;
      turns->waiting[kind].last = r->next_turn == NULL ? before : turns->waiting[kind].last;
    }
  }
}

void rf_turns_end(rf_turns *turns) {
  turns->ending = true;
  for (int kind = 0; kind < RF_TURN_KINDS; kind++) {
    while (turns->waiting[kind].first != NULL) {
      resume_first(turns, kind);
    }
  }
}
