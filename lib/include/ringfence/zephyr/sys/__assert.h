/* Zephyr: assertions, as they are without CONFIG_ASSERT: nothing is evaluated. */
#ifndef RINGFENCE_ZEPHYR_SYS_ASSERT_H
#define RINGFENCE_ZEPHYR_SYS_ASSERT_H

#ifndef __ASSERT
#define __ASSERT(test, ...) ((void)sizeof(test))
#define __ASSERT_NO_MSG(test) ((void)sizeof(test))
#define __ASSERT_EVAL(expr1, expr2, test, ...) expr1
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_ASSERT_H */
