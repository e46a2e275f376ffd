/* What board.c and board_small.c find on a board: here, for a run on the host. Text goes to standard error. */
#include <stdlib.h>

extern volatile unsigned char uart_data;
volatile unsigned char uart_data;

void board_reset(void);
void board_reset(void) {
  exit(0);
}
