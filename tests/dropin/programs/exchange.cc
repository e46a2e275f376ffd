// Exchanges objects with a library that has its own operator new and delete: argv[1].
#include "expect.h"

#include <dlfcn.h>
#include <string>

int main(int argc, char **argv) {
  void *const library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : nullptr;
  EXPECT(library != nullptr);
  if (library == nullptr) {
    return expect_done();
  }
  auto const make = reinterpret_cast<std::string *(*)()>(dlsym(library, "make_text"));
  auto const drop = reinterpret_cast<void (*)(std::string *)>(dlsym(library, "drop_text"));
  for (int i = 0; i < 3; i++) {
    delete make();
    drop(new std::string(200, 'y'));
    drop(make());
  }
  return expect_done();
}
