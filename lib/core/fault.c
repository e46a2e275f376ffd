#include <ringfence/allocator.h>
#include <ringfence/fault.h>
#include <ringfence/port.h>

static rf_fault_handler the_handler = rf_fault_abort;
static void *the_context;
static rf_fault_filter *filters; /* accessed atomically */
static rf_mutex filters_lock;    /* of adding one */

/* ---- Scopes ---- */

#if RF_FAULT_THREAD_LOCAL

#ifdef __APPLE__
__thread rf_fault_scope *rf_fault_innermost;
#else
__thread rf_fault_scope *rf_fault_innermost __attribute__((tls_model("initial-exec")));
#endif

static const rf_fault_scope *own_scope(void) {
  return rf_fault_innermost;
}

#else

static rf_fault_scope *scopes; /* of all tasks and interrupts, the newest first */
static rf_mutex scopes_lock;   /* zeroed, which is initialised */

/* Set by the first scope: a program that enters none links no code for them. */
static const rf_fault_scope *(*finder)(void);

/* An interrupt, which some ports let take no mutex, leaves the list as it was: nobody whom it interrupts sees more of
 * it. */
static bool lock_scopes(void) {
  bool const lock = !rf_port_in_interrupt();
  if (lock) {
    rf_mutex_lock(&scopes_lock);
  }
  return lock;
}

static void unlock_scopes(bool locked) {
  if (locked) {
    rf_mutex_unlock(&scopes_lock);
  }
}

static const rf_fault_scope *find_own_scope(void) {
  uint32_t const me = rf_port_thread_id();
  bool const locked = lock_scopes();
  const rf_fault_scope *scope = scopes;
  while (scope != NULL && scope->thread != me) {
    scope = scope->outer;
  }
  unlock_scopes(locked);
  return scope;
}

static const rf_fault_scope *own_scope(void) {
  return finder != NULL ? finder() : NULL;
}

void rf_fault_scope_enter(rf_fault_scope *scope, rf_fault_handler handler, void *context) {
  bool const locked = lock_scopes();
  *scope = (rf_fault_scope){handler, context, scopes, rf_port_thread_id()};
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  scopes = scope;
  finder = find_own_scope;
  unlock_scopes(locked);
}

/* Those that other tasks entered since stay. */
void rf_fault_scope_leave(rf_fault_scope *scope) {
  bool const locked = lock_scopes();
  rf_fault_scope **link = &scopes;
  while (*link != NULL && *link != scope) {
    link = &(*link)->outer;
  }
  if (*link != NULL) {
    *link = scope->outer;
  }
  unlock_scopes(locked);
}

#endif

/* ---- Texts ---- */

void rf_fault_print(const rf_fault *fault, const rf_sink *sink) {
  rf_sink_str(sink, "ringfence: ");
  if (fault->allocator != NULL) {
    rf_sink_str(sink, fault->allocator->ops->name);
    rf_sink_str(sink, ": ");
  }
  rf_sink_str(sink, fault->what != NULL ? fault->what : rf_status_name(fault->status));
  rf_sink_str(sink, " at ");
  rf_sink_ptr(sink, fault->ptr);
  if (fault->site != NULL) {
    rf_sink_str(sink, ", called from ");
    rf_sink_str(sink, fault->site->file);
    rf_sink_char(sink, ':');
    rf_sink_uint(sink, fault->site->line);
    rf_sink_str(sink, " in ");
    rf_sink_str(sink, fault->site->function);
  }
  rf_sink_char(sink, '\n');
}

static void log_write(void *context, const char *text, size_t len) {
  (void)context;
  rf_port_log(text, len);
}

void rf_fault_log(const rf_fault *fault, void *context) {
  char line[256];
  rf_sink_buffer buffer;
  rf_sink const log = {log_write, NULL};
  (void)context;
  rf_sink_buffer_init(&buffer, line, sizeof line);
  rf_fault_print(fault, &buffer.sink);
  if (buffer.length == sizeof line - 1) {
    line[buffer.length - 1] = '\n'; /* it was cut short */
  }
  rf_sink_mem(&log, buffer.data, buffer.length);
}

void rf_fault_abort(const rf_fault *fault, void *context) {
  rf_fault_log(fault, context);
  rf_port_panic();
}

void rf_fault_handler_set(rf_fault_handler handler, void *context) {
  the_handler = handler != NULL ? handler : rf_fault_abort;
  the_context = handler != NULL ? context : NULL;
}

void rf_fault_filter_add(rf_fault_filter *filter) {
  rf_mutex_lock(&filters_lock);
  const rf_fault_filter *t = filters;
  while (t != NULL && t != filter) {
    t = t->next;
  }
  if (t == NULL) {
    filter->next = filters;
    __atomic_store_n(&filters, filter, __ATOMIC_RELEASE);
  }
  rf_mutex_unlock(&filters_lock);
}

static bool is_taken(const rf_fault *fault) {
  const rf_fault_filter *t = __atomic_load_n(&filters, __ATOMIC_ACQUIRE);
  while (t != NULL && !t->filter(fault)) {
    t = t->next;
  }
  return t != NULL;
}

rf_status rf_fault_raise(const rf_fault *fault) {
  const rf_fault_scope *const scope = own_scope();
  if (scope != NULL) {
    scope->handler(fault, scope->context);
  } else if (!is_taken(fault)) {
    the_handler(fault, the_context);
  }
  return fault->status;
}

rf_status rf_fault_refuse(struct rf_allocator *allocator, rf_status status, const char *what, const void *ptr,
                          const rf_site *site) {
  rf_fault const fault = {status, what, allocator, ptr, site};
  return rf_fault_raise(&fault);
}
