/* The findings of board.c: here, for a run on the host, where text goes to standard error instead. */
extern volatile unsigned char uart_data;
volatile unsigned char uart_data;
