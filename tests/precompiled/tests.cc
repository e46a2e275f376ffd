/* Compiled as a header: the object is what a compiler reads in place of tests.h. */
#include "tests/precompiled/tests.h"
