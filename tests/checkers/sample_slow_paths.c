/* rf_sample's operations once more, compiled without frame pointers and with calls where others have jumps, as gcc -O1
 * and -Og do: what is rarely done has a frame of its own, which keeps the program's frame pointer. */
#define rf_sample_alloc slow_sample_alloc
#define rf_sample_free slow_sample_free
#define rf_sample_realloc slow_sample_realloc
#define rf_sample_resize slow_sample_resize
#define rf_sample_reject slow_sample_reject
#define rf_sample_watch_refusals slow_sample_watch_refusals
#define rf_sample_free_inner slow_sample_free_inner
#include "checkers/page/sample.c"
