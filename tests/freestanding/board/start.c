/* From reset to main, and main's status to the emulator by semihosting: SYS_EXIT_EXTENDED. */
#include <stdint.h>
#include <string.h>

extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_top[];

int main(void);
void reset(void);

#define SYS_EXIT_EXTENDED 0x20U
#define APPLICATION_EXIT 0x20026U
#define EXIT_FAULT 70U

static void leave(uint32_t status) {
  uint32_t const block[2] = {APPLICATION_EXIT, status};
  register uint32_t operation __asm__("r0") = SYS_EXIT_EXTENDED;
  register const uint32_t *argument __asm__("r1") = block;
  for (;;) {
    __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
  }
}

void reset(void) {
  memcpy(data_start, data_load, (uintptr_t)data_end - (uintptr_t)data_start);
  memset(bss_start, 0, (uintptr_t)bss_end - (uintptr_t)bss_start);
  leave((uint32_t)main());
}

static void fault(void) {
  leave(EXIT_FAULT);
}

typedef void (*handler)(void);

/* The initial stack, reset, NMI and the faults. */
__attribute__((section(".vectors"), used)) static const struct {
  uint32_t *stack;
  handler handlers[6];
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault}};
