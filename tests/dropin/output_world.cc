#include "tests/dropin/output_world.h"

namespace ringfence_test {

std::string said;
int programs_kept = 0;
bool keeps_rights = true;

} // namespace ringfence_test

using namespace ringfence_test;

extern "C" {

void __wrap_rf_port_log(const char *text, size_t size) {
  said.append(text, size);
}

int __real_access(const char *path, int mode);

int __wrap_access(const char *path, int mode) {
  errno = EACCES;
  return keeps_rights ? __real_access(path, mode) : -1;
}

void __wrap_rf_modules_keep_program() {
  programs_kept++;
}
}
