/* From reset to main, on a Cortex-M or a RISC-V core; semihosting; memory for the C library's malloc. */
#include "tests/board/board.h"

#include <ringfence/bare.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SYS_WRITE0 0x04U
#define SYS_EXIT_EXTENDED 0x20U
#define APPLICATION_EXIT 0x20026U
#define EXIT_TRAP 70

extern uintptr_t data_start[], data_end[], data_load[], bss_start[], bss_end[], heap_end[], stack_top[];
extern void (*const constructors_start[])(void);
extern void (*const constructors_end[])(void);

int main(void);
void reset(void);

/* ---- Semihosting ---- */

#if defined(__riscv)

static void ask_emulator(uintptr_t what, const void *with) {
  register uintptr_t operation __asm__("a0") = what;
  register const void *argument __asm__("a1") = with;
  /* The three instructions may not lie in two pages, and none may be compressed. */
  __asm__ volatile(".balign 16\n\t.option push\n\t.option norvc\n\t"
                   "slli zero, zero, 0x1f\n\tebreak\n\tsrai zero, zero, 7\n\t.option pop"
                   : "+r"(operation)
                   : "r"(argument)
                   : "memory");
}

#else

static void ask_emulator(uintptr_t what, const void *with) {
  register uintptr_t operation __asm__("r0") = what;
  register const void *argument __asm__("r1") = with;
  __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
}

#endif

void board_say(const char *text) {
  ask_emulator(SYS_WRITE0, text);
}

void board_end(int status) {
  uintptr_t const block[2] = {APPLICATION_EXIT, (uintptr_t)status};
  for (;;) {
    ask_emulator(SYS_EXIT_EXTENDED, block);
  }
}

/* ---- Interrupts ---- */

static void (*volatile asked)(void);

#if defined(__riscv)

#define CSR(instruction) ".option push\n\t.option arch, +zicsr\n\t" instruction "\n\t.option pop"

int board_masks_interrupts(void) {
  uintptr_t mstatus;
  __asm__ volatile(CSR("csrr %0, mstatus") : "=r"(mstatus));
  return (mstatus & 8U) == 0;
}

void board_unmask_interrupts(void) {
  __asm__ volatile(CSR("csrsi mstatus, 8") : : : "memory");
}

/* The software interrupt of core 0, by the CLINT of the board "virt". */
#define SOFTWARE_INTERRUPT 3U
#define MSIP ((volatile uint32_t *)0x2000000)

void board_interrupt(void (*handler)(void)) {
  asked = handler;
  __asm__ volatile(CSR("csrs mie, %0") : : "r"(1U << SOFTWARE_INTERRUPT));
  board_unmask_interrupts();
  *MSIP = 1;
  while (asked != NULL) {
  }
}

static void serve(void) {
  *MSIP = 0;
  unsigned const before = rf_bare_enter_interrupt(SOFTWARE_INTERRUPT);
  asked();
  rf_bare_leave_interrupt(before);
  asked = NULL;
}

#else

int board_masks_interrupts(void) {
  uintptr_t primask;
  __asm__ volatile("mrs %0, primask" : "=r"(primask));
  return primask != 0;
}

void board_unmask_interrupts(void) {
  __asm__ volatile("cpsie i" : : : "memory");
}

#define ICSR ((volatile uint32_t *)0xE000ED04)
#define PENDSVSET ((uint32_t)1 << 28)

void board_interrupt(void (*handler)(void)) {
  asked = handler;
  board_unmask_interrupts();
  *ICSR = PENDSVSET;
  while (asked != NULL) {
  }
}

static void serve(void) {
  asked();
  asked = NULL;
}

#endif

/* ---- Start ---- */

static void trap(void) {
  board_say("a trap\n");
  board_end(EXIT_TRAP);
}

void reset(void) {
  if (&data_load[0] != &data_start[0]) {
    memcpy(data_start, data_load, (uintptr_t)data_end - (uintptr_t)data_start);
  }
  memset(bss_start, 0, (uintptr_t)bss_end - (uintptr_t)bss_start);
  for (void (*const *constructor)(void) = constructors_start; constructor != constructors_end; constructor++) {
    (*constructor)();
  }
  board_end(main());
}

#if defined(__riscv)

void _start(void);

/* A direct trap vector is a multiple of four. */
__attribute__((aligned(4), used, interrupt("machine"))) static void trap_vector(void) {
  intptr_t mcause; /* negative: an interrupt */
  __asm__ volatile(CSR("csrr %0, mcause") : "=r"(mcause));
  if (mcause >= 0 || asked == NULL) {
    trap();
  }
  serve();
}

__attribute__((naked, section(".vectors"), used)) void _start(void) {
  __asm__ volatile(
      ".option push\n\t.option arch, +zicsr\n\t.option norelax\n\tla gp, __global_pointer$\n\tla sp, stack_top\n\t"
      "la t0, trap_vector\n\tcsrw mtvec, t0\n\t.option pop\n\tcall reset");
}

#else

typedef void (*handler)(void);

/* The initial stack, reset, NMI and the faults, PendSV. */
__attribute__((section(".vectors"), used)) static const struct {
  uintptr_t *stack;
  handler handlers[15];
} vectors = {stack_top, {reset, trap, trap, trap, trap, trap, [13] = serve, [14] = trap}};

#endif

/* ---- Memory for malloc: newlib and picolibc ask by these names ---- */

void *_sbrk(ptrdiff_t more);
void *sbrk(ptrdiff_t more);

void *_sbrk(ptrdiff_t more) {
  static unsigned char *at = (unsigned char *)bss_end;
  unsigned char *const old = at;
  if (more > (unsigned char *)heap_end - at || more < (unsigned char *)bss_end - at) {
    return (void *)-1;
  }
  at += more;
  return old;
}

void *sbrk(ptrdiff_t more) {
  return _sbrk(more);
}

/* ---- Other functions that libraries ask of a system ---- */

void *__dso_handle;
int __cxa_atexit(void (*function)(void *), void *argument, void *object);
int __aeabi_atexit(void *object, void (*function)(void *), void *handle);

/* Nothing is destroyed at the end. */
int __cxa_atexit(void (*function)(void *), void *argument, void *object) {
  (void)function;
  (void)argument;
  (void)object;
  return 0;
}

int __aeabi_atexit(void *object, void (*function)(void *), void *handle) {
  (void)object;
  (void)function;
  (void)handle;
  return 0;
}

void abort(void) {
  board_say("abort\n");
  board_end(EXIT_TRAP);
}
