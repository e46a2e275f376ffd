/* What board.c finds on a board: here, for a run on the host, where text goes to standard error instead. */
extern volatile unsigned char uart_data;
volatile unsigned char uart_data;
