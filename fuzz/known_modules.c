/* A harness whose traces lie in this program spends a third of its time on asking the system for the modules there, and
 * whether their headers can be read. They stay where they are: with this library the linker has each asked for once,
 * and no made-up frame on the first pages, where nothing is. */
#include "checkers/os/host.h"
#include "checkers/os/map_query.h"

#include <string.h>

#define PLACES 64U
#define NAME_BYTES 256U
#define FIRST_PAGES 0x10000U

rf_map_answer __wrap_rf_map_query(int maps, uintptr_t address, rf_map_place *out, char *name, size_t size);
rf_map_answer __real_rf_map_query(int maps, uintptr_t address, rf_map_place *out, char *name, size_t size);
bool __wrap_rf_host_readable(const void *p, size_t size);
bool __real_rf_host_readable(const void *p, size_t size);

/* A mapping of a file. */
typedef struct known_place {
  rf_map_place place;
  char name[NAME_BYTES];
  bool is_readable;
} known_place;

static known_place places[PLACES];
static unsigned count;

/* NULL where it was not asked for before. */
static known_place *known(uintptr_t address) {
  for (unsigned i = 0; i < count; i++) {
    if (address >= places[i].place.start && address < places[i].place.end) {
      return &places[i];
    }
  }
  return NULL;
}

static rf_map_answer ask(int maps, uintptr_t address, rf_map_place *out, char *name, size_t size) {
  rf_map_answer const answer = __real_rf_map_query(maps, address, out, name, size);
  if (answer == RF_MAP_FOUND && name != NULL && name[0] == '/' && strlen(name) < NAME_BYTES && count < PLACES) {
    places[count].place = *out;
    memcpy(places[count].name, name, strlen(name) + 1);
    count++;
  }
  return answer;
}

rf_map_answer __wrap_rf_map_query(int maps, uintptr_t address, rf_map_place *out, char *name, size_t size) {
  const known_place *const found = known(address);
  if (address < FIRST_PAGES) {
    return RF_MAP_NONE;
  }
  if (found == NULL || (name != NULL && strlen(found->name) >= size)) {
    return ask(maps, address, out, name, size);
  }
  *out = found->place;
  if (name != NULL) {
    memcpy(name, found->name, strlen(found->name) + 1);
  }
  return RF_MAP_FOUND;
}

bool __wrap_rf_host_readable(const void *p, size_t size) {
  known_place *const place = known((uintptr_t)p);
  bool const is_within = place != NULL && size != 0 && size <= place->place.end - (uintptr_t)p;
  if (is_within && place->is_readable) {
    return true;
  }
  bool const is_readable = __real_rf_host_readable(p, size);
  if (is_within && is_readable) {
    place->is_readable = true; /* a mapping has its rights as a whole */
  }
  return is_readable;
}
