/* From reset to main, on a Cortex-M or a RISC-V core. Then, by semihosting: the stack that main took, its
 * status. */
#include <stdint.h>
#include <string.h>

extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_top[];

int main(void);
void reset(void);

#define SYS_WRITEC 0x03U
#define SYS_EXIT_EXTENDED 0x20U
#define APPLICATION_EXIT 0x20026U
#define EXIT_FAULT 70U
#define UNTOUCHED 0xA5A5A5A5U

/* ---- The core ---- */

static void leave(uint32_t status);

static void fault(void) {
  leave(EXIT_FAULT);
}

#if defined(__riscv)

static void ask_emulator(uint32_t what, const void *with) {
  register uint32_t operation __asm__("a0") = what;
  register const void *argument __asm__("a1") = with;
  /* The three instructions may not lie in two pages, and none may be compressed. */
  __asm__ volatile(".balign 16\n\t.option push\n\t.option norvc\n\t"
                   "slli zero, zero, 0x1f\n\tebreak\n\tsrai zero, zero, 7\n\t.option pop"
                   : "+r"(operation)
                   : "r"(argument)
                   : "memory");
}

static void ask_for_reset(void) {
  *(volatile uint32_t *)0x100000U = 0x7777U; /* the board's test device */
}

void _start(void);

/* A direct trap vector is a multiple of four. */
__attribute__((aligned(4), used)) static void trap_vector(void) {
  fault();
}

__attribute__((naked, section(".vectors"), used)) void _start(void) {
  __asm__ volatile(
      ".option push\n\t.option arch, +zicsr\n\t.option norelax\n\tla gp, __global_pointer$\n\tla sp, stack_top\n\t"
      "la t0, trap_vector\n\tcsrw mtvec, t0\n\t.option pop\n\tcall reset");
}

#else

static void ask_emulator(uint32_t what, const void *with) {
  register uint32_t operation __asm__("r0") = what;
  register const void *argument __asm__("r1") = with;
  __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
}

static void ask_for_reset(void) {
  *(volatile uint32_t *)0xE000ED0CU = 0x05FA0004U; /* AIRCR, SYSRESETREQ */
}

typedef void (*handler)(void);

/* The initial stack, reset, NMI and the faults. */
__attribute__((section(".vectors"), used)) static const struct {
  uint32_t *stack;
  handler handlers[6];
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault}};

#endif

/* ---- Status ---- */

static void leave(uint32_t status) {
  uint32_t const block[2] = {APPLICATION_EXIT, status};
  for (;;) {
    ask_emulator(SYS_EXIT_EXTENDED, block);
  }
}

static void say(const char *text) {
  for (; *text != '\0'; text++) {
    ask_emulator(SYS_WRITEC, text);
  }
}

static void say_number(uint32_t n) {
  char digits[11];
  char *at = digits + sizeof digits - 1;
  *at = '\0';
  do {
    *--at = (char)('0' + n % 10);
    n /= 10;
  } while (n != 0);
  say(at);
}

/* ---- Start ---- */

void reset(void) {
  uint32_t *const here = __builtin_frame_address(0);
  memcpy(data_start, data_load, (uintptr_t)data_end - (uintptr_t)data_start);
  memset(bss_start, 0, (uintptr_t)bss_end - (uintptr_t)bss_start);
  for (uint32_t *free = bss_end; free < here - 32; free++) {
    *free = UNTOUCHED;
  }
  uint32_t const status = (uint32_t)main();
  const uint32_t *touched = bss_end;
  while (*touched == UNTOUCHED) {
    touched++;
  }
  say("stack: ");
  say_number((uint32_t)((uintptr_t)stack_top - (uintptr_t)touched));
  say(" bytes\n");
  leave(status);
}

/* For the example that resets: memory that is not initialised stays. */
void board_reset(void);
void board_reset(void) {
  ask_for_reset();
  for (;;) {
  }
}
