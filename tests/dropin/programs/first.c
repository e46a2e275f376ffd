/* A library that begins before all others, and so before ours, which asks for the same: the loader heeds the last one
 * that it has loaded. The threads' library of glibc before 2.34 is such a one. */
int first;
