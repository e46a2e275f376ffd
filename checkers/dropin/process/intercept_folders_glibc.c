/* Interception of calls with the stream of a folder that the program has closed.
 *
 * The memory of a closed folder is filled, and readdir takes the fill for a lock that is held: it would wait for ever.
 * So these calls are intercepted in the library and in programs that the drop-in is linked into.
 *
 * Complexity: loads of the heap's map and of the block's state.
 * Threads and signal handlers: as the functions behind.
 */
#define _GNU_SOURCE
#include "intercept_closed.h"
#include "intercept_files.h"

#include <dirent.h>
#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* readdir_r */

#define EACH(with)                                                                                                     \
  with(readdir) with(readdir64) with(readdir_r) with(readdir64_r) with(rewinddir) with(telldir) with(seekdir)          \
      with(closedir) with(dirfd)

EACH(DECLARE_LINKED)

THEIRS_BY(rf_intercept_folders_init, readdir)

USES(struct dirent *, NULL, readdir, (DIR * folder), (folder), folder)
USES(struct dirent64 *, NULL, readdir64, (DIR * folder), (folder), folder)
USES(int, EBADF, readdir_r, (DIR *restrict folder, struct dirent *restrict entry, struct dirent **restrict next),
     (folder, entry, next), folder)
USES(int, EBADF, readdir64_r, (DIR *restrict folder, struct dirent64 *restrict entry, struct dirent64 **restrict next),
     (folder, entry, next), folder)
USES_ONLY(rewinddir, (DIR * folder), (folder), folder)
USES(long, -1, telldir, (DIR * folder), (folder), folder)
USES_ONLY(seekdir, (DIR * folder, long place), (folder, place), folder)
USES(int, -1, closedir, (DIR * folder), (folder), folder)
USES(int, -1, dirfd, (DIR * folder), (folder), folder)
