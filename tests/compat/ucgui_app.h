/* Code as it is written for uC/GUI's dynamic memory, and for emWin's calls of the same names. Each function gives 0, or
 * the line on which something was not as it should be. */
#ifndef RINGFENCE_TESTS_COMPAT_UCGUI_APP_H
#define RINGFENCE_TESTS_COMPAT_UCGUI_APP_H

#ifdef __cplusplus
extern "C" {
#endif

int ucgui_functions(void);
int ucgui_macros(void);
int ucgui_sizes(void);
int ucgui_compaction(void);
int ucgui_free_and_zero(void);
int ucgui_figures(void);
int emwin_kinds_of_allocation(void);
int emwin_locks(void);
int emwin_own_memory(void);
int emwin_windows(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_COMPAT_UCGUI_APP_H */
