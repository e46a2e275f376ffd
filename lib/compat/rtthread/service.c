/* Objects and their lists, the lock, thread owners, the clock, errors and assertions. */
#include <ringfence/system.h>

#include "impl.h"

/* Zeroed storage is an initialised mutex in every port. */
static rf_mutex the_lock;

void rf_rt_lock(void) {
  rf_mutex_lock(&the_lock);
}

void rf_rt_unlock(void) {
  rf_mutex_unlock(&the_lock);
}

/* ---- Objects ---- */

struct rt_object *rf_rt_system_heap;

#define CLASS(type, size, at)                                                                                          \
  { (type), {&the_classes[at].object_list, &the_classes[at].object_list}, (size) }

static struct rt_object_information the_classes[] = {
    CLASS(RT_Object_Class_Memory, sizeof(struct rt_memory), 0),
    CLASS(RT_Object_Class_MemHeap, sizeof(struct rt_memheap), 1),
    CLASS(RT_Object_Class_MemPool, sizeof(struct rt_mempool), 2),
};

struct rt_object_information *rt_object_get_information(enum rt_object_class_type type) {
  for (size_t i = 0; i < sizeof the_classes / sizeof *the_classes; i++) {
    if (the_classes[i].type == type) {
      return &the_classes[i];
    }
  }
  return RT_NULL;
}

static rt_list_t *objects_of(enum rt_object_class_type type) {
  return &rt_object_get_information(type)->object_list;
}

struct rt_object *rf_rt_object_next(enum rt_object_class_type type, const struct rt_object *object) {
  rt_list_t *const head = objects_of(type);
  rt_list_t *const next = object == NULL ? head->next : object->list.next;
  return next == head ? NULL : rt_list_entry(next, struct rt_object, list);
}

void rf_rt_object_add(struct rt_object *object, enum rt_object_class_type type, const char *name) {
  size_t length = name != NULL ? strlen(name) : 0;
  length = length < RT_NAME_MAX - 1 ? length : RT_NAME_MAX - 1;
  memset(object->name, 0, sizeof object->name);
  if (length != 0) {
    memcpy(object->name, name, length);
  }
  object->type = (rt_uint8_t)type;
  object->flag = 0;
  rf_rt_lock();
  rt_list_insert_before(objects_of(type), &object->list);
  rf_rt_unlock();
}

bool rf_rt_object_remove(struct rt_object *object, enum rt_object_class_type type) {
  rf_rt_lock();
  const struct rt_object *o = NULL;
  do {
    o = rf_rt_object_next(type, o);
  } while (o != NULL && o != object);
  if (o != NULL) {
    rt_list_remove(&object->list);
    object->type = RT_Object_Class_Null;
    rf_rt_system_heap = object == rf_rt_system_heap ? NULL : rf_rt_system_heap;
  }
  rf_rt_unlock();
  return o != NULL;
}

bool rf_rt_object_named(const struct rt_object *object, const char *name) {
  size_t const length = strlen(name);
  return strlen(object->name) == length && memcmp(object->name, name, length) == 0;
}

rt_object_t rt_object_find(const char *name, rt_uint8_t type) {
  rt_object_t found = RT_NULL;
  if (name == NULL || rt_object_get_information((enum rt_object_class_type)type) == NULL) {
    return RT_NULL;
  }
  rf_rt_lock();
  do {
    found = rf_rt_object_next((enum rt_object_class_type)type, found);
  } while (found != NULL && !rf_rt_object_named(found, name));
  rf_rt_unlock();
  return found;
}

rt_uint8_t rt_object_get_type(rt_object_t object) {
  return object->type;
}

/* ---- Checkers ---- */

static rf_rt_wrap_fn the_wrap;
static void *the_wrap_context;

void rf_rt_wrap_set(rf_rt_wrap_fn wrap, void *context) {
  the_wrap = wrap;
  the_wrap_context = context;
}

rf_allocator *rf_rt_wrapped(rf_allocator *heap, const char *name) {
  rf_allocator *const wrapped = the_wrap != NULL ? the_wrap(heap, name, the_wrap_context) : NULL;
  return wrapped != NULL ? wrapped : heap;
}

void rf_rt_narrow(rt_uint32_t *out, rt_size_t value) {
  if (out != NULL) {
    *out = value < RT_UINT32_MAX ? (rt_uint32_t)value : RT_UINT32_MAX;
  }
}

/* ---- Threads: the owner word of their blocks, and the last error ---- */

/* Without a system no variable belongs to a thread: then a name and an error are those of all. */
#if RF_HAS_SYSTEM
#define PER_THREAD __thread
#else
#define PER_THREAD
#endif

static PER_THREAD uintptr_t the_owner; /* 0: the thread has no name, and its number is not known yet */
static PER_THREAD rt_err_t the_error;

/* Letters in the order of addresses, as memtrace reads them; the rest of the word is 0. */
static uintptr_t word_of(const char *text, size_t length) {
  uintptr_t word = 0;
  memcpy(&word, text, length < sizeof word ? length : sizeof word);
  return word;
}

void rf_rt_thread_name(const char *name) {
  the_owner = name != NULL ? word_of(name, strlen(name)) : 0;
}

static uintptr_t number_of_thread(void) {
  char text[sizeof(uintptr_t)] = {'#'};
  uint32_t number = rf_port_thread_id();
  for (size_t at = sizeof text; at-- > 1; number /= 10) {
    text[at] = (char)('0' + (int)(number % 10));
  }
  return word_of(text, sizeof text);
}

uintptr_t rf_rt_owner(const rf_site *site) {
  (void)site;
  uintptr_t const owner = the_owner != 0 ? the_owner : number_of_thread();
  the_owner = RF_HAS_SYSTEM ? owner : the_owner;
  return owner;
}

rt_err_t rt_get_errno(void) {
  return the_error;
}

void rt_set_errno(rt_err_t error) {
  the_error = error;
}

/* ---- Clock ---- */

rt_tick_t rt_tick_get(void) {
  return (rt_tick_t)(rf_port_now_ns() / (UINT64_C(1000000000) / RT_TICK_PER_SECOND));
}

rt_tick_t rt_tick_get_millisecond(void) {
  return (rt_tick_t)(rf_port_now_ns() / 1000000);
}

rt_tick_t rt_tick_from_millisecond(rt_int32_t ms) {
  if (ms < 0) {
    return (rt_tick_t)RT_WAITING_FOREVER;
  }
  return (rt_tick_t)(((uint64_t)ms * RT_TICK_PER_SECOND + 999) / 1000);
}

/* ---- Assertions ---- */

static void (*the_assert_hook)(const char *ex, const char *func, rt_size_t line);

void rt_assert_set_hook(void (*hook)(const char *ex, const char *func, rt_size_t line)) {
  the_assert_hook = hook;
}

void rt_assert_handler(const char *ex, const char *func, rt_size_t line) {
  if (the_assert_hook != NULL) {
    the_assert_hook(ex, func, line);
    return;
  }
  rt_kprintf("assertion failed: %s, in %s, line %lu\n", ex, func, line);
  rf_port_panic();
}
