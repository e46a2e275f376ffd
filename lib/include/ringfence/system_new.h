/* operator new and delete over the functions of system_malloc.h: findings name who calls them. Those of the C++ library
 * would be the caller of each request, and all findings one. One C++ source of a program has:
 *
 *     #define RINGFENCE_OPERATOR_NEW
 *     #include <ringfence/system_new.h>
 *
 * A request that gets nothing goes on as C++ says: the new_handler, std::bad_alloc; compiled with -fno-exceptions, a
 * trap. 0 bytes are a block.
 */
#ifndef RINGFENCE_SYSTEM_NEW_H
#define RINGFENCE_SYSTEM_NEW_H

#include <ringfence/system_malloc.h>

#if defined(__cplusplus) && defined(RINGFENCE_OPERATOR_NEW)

#include <new>

namespace rf_system {

/* Without a handler NULL. */
static inline void *ask(const void *caller, std::size_t size, std::size_t align) {
  for (;;) {
    void *const block = rf_system_malloc_for(caller, size, align);
    std::new_handler const handler = block == nullptr ? std::get_new_handler() : nullptr;
    if (handler == nullptr) {
      return block;
    }
    handler();
  }
}

static inline void *demand(const void *caller, std::size_t size, std::size_t align) {
  void *const block = ask(caller, size, align);
  if (block == nullptr) {
#ifdef __cpp_exceptions
    throw std::bad_alloc();
#else
    __builtin_trap();
#endif
  }
  return block;
}

static inline void *attempt(const void *caller, std::size_t size, std::size_t align) {
#ifdef __cpp_exceptions
  try {
    return ask(caller, size, align);
  } catch (...) { /* a handler's */
    return nullptr;
  }
#else
  return ask(caller, size, align);
#endif
}

} /* namespace rf_system */

/* ---- new ---- */

RF_SYSTEM_CALL_ void *operator new(std::size_t size) {
  return rf_system::demand(__builtin_return_address(0), size, RF_ALIGN_DEFAULT);
}

RF_SYSTEM_CALL_ void *operator new[](std::size_t size) {
  return rf_system::demand(__builtin_return_address(0), size, RF_ALIGN_DEFAULT);
}

RF_SYSTEM_CALL_ void *operator new(std::size_t size, const std::nothrow_t &) noexcept {
  return rf_system::attempt(__builtin_return_address(0), size, RF_ALIGN_DEFAULT);
}

RF_SYSTEM_CALL_ void *operator new[](std::size_t size, const std::nothrow_t &) noexcept {
  return rf_system::attempt(__builtin_return_address(0), size, RF_ALIGN_DEFAULT);
}

#ifdef __cpp_aligned_new

RF_SYSTEM_CALL_ void *operator new(std::size_t size, std::align_val_t align) {
  return rf_system::demand(__builtin_return_address(0), size, static_cast<std::size_t>(align));
}

RF_SYSTEM_CALL_ void *operator new[](std::size_t size, std::align_val_t align) {
  return rf_system::demand(__builtin_return_address(0), size, static_cast<std::size_t>(align));
}

RF_SYSTEM_CALL_ void *operator new(std::size_t size, std::align_val_t align, const std::nothrow_t &) noexcept {
  return rf_system::attempt(__builtin_return_address(0), size, static_cast<std::size_t>(align));
}

RF_SYSTEM_CALL_ void *operator new[](std::size_t size, std::align_val_t align, const std::nothrow_t &) noexcept {
  return rf_system::attempt(__builtin_return_address(0), size, static_cast<std::size_t>(align));
}

#endif

/* ---- delete ---- */

/* Objects that other compilers made may call those with a size, whether this one does or not. */
#ifndef __cpp_sized_deallocation
void operator delete(void *block, std::size_t) noexcept;
void operator delete[](void *block, std::size_t) noexcept;
#ifdef __cpp_aligned_new
void operator delete(void *block, std::size_t, std::align_val_t) noexcept;
void operator delete[](void *block, std::size_t, std::align_val_t) noexcept;
#endif
#endif

RF_SYSTEM_CALL_ void operator delete(void *block) noexcept {
  rf_system_free_for(__builtin_return_address(0), block);
}

RF_SYSTEM_CALL_ void operator delete[](void *block) noexcept {
  rf_system_free_for(__builtin_return_address(0), block);
}

RF_SYSTEM_CALL_ void operator delete(void *block, std::size_t) noexcept {
  rf_system_free_for(__builtin_return_address(0), block);
}

RF_SYSTEM_CALL_ void operator delete[](void *block, std::size_t) noexcept {
  rf_system_free_for(__builtin_return_address(0), block);
}

RF_SYSTEM_CALL_ void operator delete(void *block, const std::nothrow_t &) noexcept {
  rf_system_free_for(__builtin_return_address(0), block);
}

RF_SYSTEM_CALL_ void operator delete[](void *block, const std::nothrow_t &) noexcept {
  rf_system_free_for(__builtin_return_address(0), block);
}

#ifdef __cpp_aligned_new

RF_SYSTEM_CALL_ void operator delete(void *block, std::align_val_t) noexcept {
  rf_system_free_for(__builtin_return_address(0), block);
}

RF_SYSTEM_CALL_ void operator delete[](void *block, std::align_val_t) noexcept {
  rf_system_free_for(__builtin_return_address(0), block);
}

RF_SYSTEM_CALL_ void operator delete(void *block, std::size_t, std::align_val_t) noexcept {
  rf_system_free_for(__builtin_return_address(0), block);
}

RF_SYSTEM_CALL_ void operator delete[](void *block, std::size_t, std::align_val_t) noexcept {
  rf_system_free_for(__builtin_return_address(0), block);
}

RF_SYSTEM_CALL_ void operator delete(void *block, std::align_val_t, const std::nothrow_t &) noexcept {
  rf_system_free_for(__builtin_return_address(0), block);
}

RF_SYSTEM_CALL_ void operator delete[](void *block, std::align_val_t, const std::nothrow_t &) noexcept {
  rf_system_free_for(__builtin_return_address(0), block);
}

#endif

#endif

#endif /* RINGFENCE_SYSTEM_NEW_H */
