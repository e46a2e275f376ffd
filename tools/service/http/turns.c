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

bool rf_turns_wait(rf_turns *turns, rf_request *r) {
  rf_turn_kind const kind = rf_route_turn(r);
  if (kind == RF_TURN_AT_ONCE || r->its_turn || (!rf_turns_are_waited_for(turns) && rf_turns_have_time(turns))) {
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
  struct pollfd fd = {r->entry == NULL ? -1 : r->entry->fd, POLLRDHUP, 0};
  return r->entry != NULL && (r->entry->fd < 0 || poll(&fd, 1, 0) == 1);
}

/* libmicrohttpd does not look at suspended connections, and has room for so many. */
bool rf_turns_next(rf_turns *turns) {
  bool resumed = false;
  for (int kind = 0; kind < RF_TURN_KINDS && !resumed; kind++) {
    while (turns->waiting[kind].first != NULL && !resumed) {
      resumed = !rf_turns_is_gone(turns->waiting[kind].first);
      resume_first(turns, kind);
    }
  }
  return resumed;
}

void rf_turns_forget(rf_turns *turns, const rf_request *r) {
  for (int kind = 0; kind < RF_TURN_KINDS; kind++) {
    rf_request *before = NULL;
    rf_request **at = &turns->waiting[kind].first;
    while (*at != NULL && *at != r) {
      before = *at;
      at = &before->next_turn;
    }
    if (*at == r) {
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
