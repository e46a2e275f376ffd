/* The findings of board.c and board_small.c: here, for a run on the host, where text goes to standard error. */
#include <stdlib.h>

extern volatile unsigned char uart_data;
volatile unsigned char uart_data;

void board_reset(void);
void board_reset(void) {
  exit(0);
}
