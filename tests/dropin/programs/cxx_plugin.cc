// A library of C++ for a program without: how often its new handler was called, and whether what was thrown was caught.
#include <cstddef>
#include <new>

namespace {
int handled = 0;

void give_up_at_third() {
  if (++handled == 3) {
    std::set_new_handler(nullptr);
  }
}

template <class Request> bool throws(Request request) {
  try {
    request();
  } catch (const std::bad_alloc &) {
    return true;
  }
  return false;
}
} // namespace

extern "C" int plugin_try(std::size_t too_much) {
  auto const wide = std::align_val_t(64);
  bool const caught = throws([&] { ::operator delete(::operator new(too_much)); }) &&
                      throws([&] { ::operator delete[](::operator new[](too_much)); }) &&
                      throws([&] { ::operator delete(::operator new(too_much, wide), wide); }) &&
                      throws([&] { ::operator delete[](::operator new[](too_much, wide), wide); });
  if (!caught || ::operator new(too_much, std::nothrow) != nullptr) {
    return -1;
  }
  std::set_new_handler(give_up_at_third);
  if (!throws([&] { ::operator delete(::operator new(too_much)); }) || handled != 3) {
    return -1;
  }
  std::set_new_handler(give_up_at_third);
  handled = 0;
  if (::operator new(too_much, std::nothrow) != nullptr || handled != 3) {
    return -1;
  }
  std::set_new_handler(give_up_at_third);
  handled = 0;
  return ::operator new[](too_much, wide, std::nothrow) == nullptr ? handled : -1;
}
