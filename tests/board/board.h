/* The means of a program on an emulated board: text on the emulator's console, and an end with a status. */
#ifndef RINGFENCE_TESTS_BOARD_BOARD_H
#define RINGFENCE_TESTS_BOARD_BOARD_H

#ifdef __cplusplus
extern "C" {
#define BOARD_NORETURN [[noreturn]]
#else
#define BOARD_NORETURN _Noreturn
#endif

/* By semihosting. */
void board_say(const char *text);
BOARD_NORETURN void board_end(int status);

/* True while the core serves no interrupt. None is asked for but by board_interrupt. */
int board_masks_interrupts(void);
void board_unmask_interrupts(void);

/* Runs `handler` in an interrupt, and returns after it. Leaves interrupts unmasked. */
void board_interrupt(void (*handler)(void));

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_BOARD_BOARD_H */
