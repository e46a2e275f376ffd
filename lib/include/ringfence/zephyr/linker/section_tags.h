/* Zephyr: the places of variables by their names there. All are one here. */
#ifndef RINGFENCE_ZEPHYR_LINKER_SECTION_TAGS_H
#define RINGFENCE_ZEPHYR_LINKER_SECTION_TAGS_H

#ifndef __noinit
#define __noinit
#endif
#ifndef __noinit_named
#define __noinit_named(name)
#endif
#ifndef __nocache
#define __nocache
#endif
#ifndef __nocache_noinit
#define __nocache_noinit
#endif

#endif /* RINGFENCE_ZEPHYR_LINKER_SECTION_TAGS_H */
