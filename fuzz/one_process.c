/* Each finding asks the kernel for the number of its process, which a harness that does not fork need ask for once. */
#include <stdint.h>
#include <unistd.h>

uint32_t __wrap_rf_host_process(void);

uint32_t __wrap_rf_host_process(void) {
  static uint32_t process;
  process = process != 0 ? process : (uint32_t)getpid();
  return process;
}
