/* Looks at all that the heap of the drop-in knows of itself: lists, sums, bitmaps, the page map. For the files of this
 * folder, while no other thread uses the heap and no block is being freed. */
#ifndef RINGFENCE_DROPIN_HEAP_TESTING_STRUCTURE_H
#define RINGFENCE_DROPIN_HEAP_TESTING_STRUCTURE_H

/* A static phrase that tells the first contradiction; NULL where there is none. *where is what it is about. */
const char *rf_heap_structure_flaw(const void **where);

#endif /* RINGFENCE_DROPIN_HEAP_TESTING_STRUCTURE_H */
