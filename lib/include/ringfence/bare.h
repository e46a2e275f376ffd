/* bare: the port for one core without an operating system, and what a board gives it.
 *
 * Every function of the table has a weak default in bare.c; a board defines those that it has something better for.
 * None of them is called by the program.
 *
 * | hook               | default                                      | define it when                            |
 * |--------------------|----------------------------------------------|-------------------------------------------|
 * | rf_bare_irq_save   | Cortex-M: PRIMASK; RISC-V: mstatus.MIE, in   | interrupts use an allocator, other cores; |
 * |                    | machine mode; other cores: nothing           | RISC-V in another mode                    |
 * | rf_bare_exception  | Cortex-M: IPSR; other cores: as the handlers | a register of the core tells, such as     |
 * |                    | said by rf_bare_enter_interrupt, else 0      | mintstatus of a CLIC                      |
 * | rf_bare_now_ns     | 0: there is no clock                         | anything waits with a bounded timeout     |
 * | rf_bare_idle       | nothing: waiting spins                       | the core can sleep until an interrupt     |
 * | rf_bare_log        | drops the text                               | there is a console, a UART, an RTT buffer |
 *
 * Locks mask interrupts while they are held, so a locked section may be entered from main code and from interrupts
 * alike, but not from an NMI or fault handler, which cannot be masked.
 *
 * Cores without instructions for atomic access (Cortex-M0, RISC-V without A) need no library for it: bare.c has, weak,
 * the functions that a compiler calls then (__atomic_exchange_4 and its kin).
 */
#ifndef RINGFENCE_BARE_H
#define RINGFENCE_BARE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Masks interrupts and returns what rf_bare_irq_restore needs to bring the previous state back. */
uintptr_t rf_bare_irq_save(void);
void rf_bare_irq_restore(uintptr_t saved);

/* The number of the exception or interrupt that is being served; 0 in main code. */
unsigned rf_bare_exception(void);

/* For trap handlers of cores other than Cortex-M, which have no register that tells main code from a handler: mcause of
 * RISC-V stays as it is after the handler's return, and interrupts are masked in critical sections as well. Without
 * these calls a handler passes for main code: a wait in it spins for ever, and findings name no interrupt.
 *
 *     __attribute__((interrupt)) void handler(void) {
 *       unsigned const before = rf_bare_enter_interrupt(cause);
 *       ...                                                       allocates, frees
 *       rf_bare_leave_interrupt(before);
 *     }
 *
 * `number`: of the interrupt, any but 0, such as the code in mcause. Returns what was served before: handlers may
 * interrupt each other. On Cortex-M both change nothing. */
unsigned rf_bare_enter_interrupt(unsigned number);
void rf_bare_leave_interrupt(unsigned before);

/* Nanoseconds from an arbitrary start, never going back. A clock must not read 0, which means that there is none:
 * bounded waits then look once and give up rather than wait for ever. */
uint64_t rf_bare_now_ns(void);

/* Called over and over while something is waited for, interrupts not masked by the wait. May sleep until the next
 * interrupt when the tick of the clock is one. */
void rf_bare_idle(void);

/* Puts `len` bytes of text on the console. May be called with interrupts masked. */
void rf_bare_log(const char *text, size_t len);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_BARE_H */
