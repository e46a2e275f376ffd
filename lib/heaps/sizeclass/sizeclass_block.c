/* Headers, the heap's record, and blocks of the buffer. */
#include "sizeclass_impl.h"

#include <string.h>

static uint32_t header_checksum(const rf_sizeclass *heap, const header *h) {
  uintptr_t const place = (uintptr_t)h ^ rf_checksum_mix(0, (uintptr_t)heap);
  return (uint32_t)rf_checksum_mix(rf_checksum_mix(place, h->word), h->flags & ~CHECK_BITS);
}

/* Writes a header: no word or flag of one is changed elsewhere. */
void rf_sizeclass_header_set(const rf_sizeclass *heap, header *h, uintptr_t word, uint32_t flags) {
  h->word = word;
  h->flags = (flags & ~(CHECK_BITS | RF_SIZECLASS_INTEGRITY_MASK)) | RF_SIZECLASS_INTEGRITY;
  uint32_t const checksum = header_checksum(heap, h);
  h->flags |= checksum & CHECK_BITS;
#if SEALED
  h->checksum = checksum;
#endif
}

bool rf_sizeclass_header_intact(const rf_sizeclass *heap, const header *h) {
  if ((h->flags & RF_SIZECLASS_INTEGRITY_MASK) != RF_SIZECLASS_INTEGRITY) {
    return false;
  }
  uint32_t const checksum = header_checksum(heap, h);
#if SEALED
  if (h->checksum != checksum) {
    return false;
  }
#endif
  return (h->flags & CHECK_BITS) == (checksum & CHECK_BITS);
}

uintptr_t rf_sizeclass_record_checksum(const rf_sizeclass *heap) {
  uintptr_t s = rf_checksum_mix((uintptr_t)heap, (uintptr_t)heap->fallback);
  s = rf_checksum_mix(s, (uintptr_t)heap->buffer);
  s = rf_checksum_mix(s, heap->size);
  s = rf_checksum_mix(s, heap->carved);
  s = rf_checksum_mix(s, (uintptr_t)heap->sites);
  s = rf_checksum_mix(s, heap->site_rows);
  return rf_checksum_mix(s, heap->borrowed);
}

bool rf_sizeclass_record_intact(const rf_sizeclass *heap) {
  return heap->checksum == rf_sizeclass_record_checksum(heap);
}

static void carved_set(rf_sizeclass *heap, size_t carved) {
  heap->carved = carved;
  heap->checksum = rf_sizeclass_record_checksum(heap);
}

rf_status rf_sizeclass_refuse(rf_sizeclass *heap, rf_status status, const void *where, const rf_site *site) {
  const char *what = "no block of this heap starts here";
  if (status == RF_ERR_NOT_ALLOCATED) {
    what = "block is free already";
  } else if (status == RF_ERR_CORRUPT) {
    what = "header overwritten";
  }
  return rf_fault_refuse(&heap->base, status, what, where, site);
}

/* True for the first header of a carved block, undamaged. `h` may be any address. */
bool rf_sizeclass_block_intact(const rf_sizeclass *heap, const header *h) {
  size_t const offset = offset_of(heap, h);
  if (offset >= heap->carved || offset % RF_ALIGN_DEFAULT != 0 || heap->carved - offset <= HEADER_SIZE ||
      !rf_sizeclass_header_intact(heap, h) || (h->flags & SECOND) != 0 || class_of(h) >= RF_SIZECLASS_COUNT ||
      class_size(class_of(h)) > heap->carved - offset - HEADER_SIZE) {
    return false;
  }
  return (h->flags & FREED) != 0 ||
         (align_of(h) <= class_size(class_of(h)) &&
          (size_t)(user_payload(h) - first_payload(h)) + (h->word & SIZE_MASK) <= class_size(class_of(h)));
}

/* True where the second header, if the block has one, leads back to the first. */
bool rf_sizeclass_second_intact(const rf_sizeclass *heap, const header *h) {
  unsigned char *const payload = user_payload(h);
  const header *const second = header_of(payload);
  return second == h || (rf_sizeclass_header_intact(heap, second) && (second->flags & (SECOND | FREED)) == SECOND &&
                         second->word == (uintptr_t)(payload - first_payload(h)));
}

/* Why what was found at `ptr` in the buffer is no block in use, `h` being where its first header would be. */
static rf_status explain(const rf_sizeclass *heap, const void *ptr, const header *h) {
  rf_status const freed = rf_sizeclass_header_intact(heap, header_of(ptr)) && is_free(header_of(ptr))
                              ? RF_ERR_NOT_ALLOCATED
                              : RF_ERR_BAD_POINTER;
  for (size_t offset = 0; offset < heap->carved;) {
    const header *const b = (const header *)(const void *)(heap->buffer + offset);
    if (!rf_sizeclass_block_intact(heap, b)) {
      return b == h ? RF_ERR_CORRUPT : freed;
    }
    offset += HEADER_SIZE + class_size(class_of(b));
    if (offset_of(heap, ptr) < offset) {
      if (is_free(b)) {
        return freed;
      }
      return user_payload(b) == ptr ? RF_ERR_CORRUPT : RF_ERR_BAD_POINTER;
    }
  }
  return freed;
}

rf_status rf_sizeclass_find_in_buffer(const rf_sizeclass *heap, const void *ptr, found *out) {
  size_t const offset = offset_of(heap, ptr);
  if (offset < HEADER_SIZE || offset % RF_ALIGN_DEFAULT != 0) {
    return RF_ERR_BAD_POINTER;
  }
  header *h = header_of(ptr);
  if (rf_sizeclass_header_intact(heap, h) && (h->flags & (SECOND | FREED)) == SECOND &&
      h->word <= offset - HEADER_SIZE) {
    h = header_of((const unsigned char *)ptr - h->word);
  }
  if (!rf_sizeclass_block_intact(heap, h) || is_free(h) || user_payload(h) != ptr ||
      !rf_sizeclass_second_intact(heap, h)) {
    return explain(heap, ptr, h);
  }
  *out = (found){h, user_payload(h), NULL, (size_t)(h->word & SIZE_MASK), room_of(h)};
  return RF_OK;
}

/* The class for `size` bytes; RF_SIZECLASS_COUNT where none is large enough. */
static unsigned class_for(size_t size) {
  if (size > RF_SIZECLASS_LARGEST) {
    return RF_SIZECLASS_COUNT;
  }
  return size <= RF_SIZECLASS_SMALLEST ? 0 : rf_log2(size - 1) - 3U;
}

/* The first free block of the class, or NULL. One that is damaged is reported and stays where it is. */
static header *queue_take(rf_sizeclass *heap, unsigned q, const rf_site *site) {
  header *const h = (header *)heap->queue[q];
  if (h == NULL) {
    return NULL;
  }
  if (!rf_sizeclass_block_intact(heap, h) || !is_free(h) || class_of(h) != q) {
    (void)rf_fault_refuse(&heap->base, RF_ERR_CORRUPT, "free block overwritten", h, site);
    return NULL;
  }
  heap->queue[q] = (void *)h->word;
  heap->queued[q]--;
  return h;
}

static header *carve(rf_sizeclass *heap, unsigned q) {
  size_t const need = HEADER_SIZE + class_size(q);
  if (heap->size - heap->carved < need) {
    return NULL;
  }
  header *const h = (header *)(void *)(heap->buffer + heap->carved);
  carved_set(heap, heap->carved + need);
  return h;
}

/* A block of at least class `*q`, and its class. */
static header *take(rf_sizeclass *heap, unsigned *q, const rf_site *site) {
  header *h = queue_take(heap, *q, site);
  if (h == NULL) {
    h = carve(heap, *q);
  }
  while (h == NULL && ++*q < RF_SIZECLASS_COUNT) {
    h = queue_take(heap, *q, site);
  }
  return h;
}

/* A larger alignment may cost a second header and the gap before it. */
static bool add_align(size_t size, size_t align, size_t *need) {
  *need = size;
  return align <= RF_ALIGN_DEFAULT || rf_add(size, HEADER_SIZE + align - RF_ALIGN_DEFAULT, need);
}

void *rf_sizeclass_serve_class(rf_sizeclass *heap, size_t size, size_t align, size_t row, const rf_site *site) {
  size_t need;
  unsigned q = RF_SIZECLASS_COUNT;
  if (add_align(size, align, &need)) {
    q = class_for(need);
  }
  header *const h = q < RF_SIZECLASS_COUNT ? take(heap, &q, site) : NULL;
  if (h == NULL) {
    return NULL;
  }
  rf_sizeclass_header_set(heap, h, row << SIZE_BITS | size, q | rf_log2(align) << ALIGN_SHIFT);
  unsigned char *const payload = user_payload(h);
  if (payload != first_payload(h)) {
    rf_sizeclass_header_set(heap, header_of(payload), (uintptr_t)(payload - first_payload(h)), SECOND);
  }
  heap->live[q]++;
  return payload;
}

void rf_sizeclass_release_class(rf_sizeclass *heap, const found *f) {
  unsigned const q = class_of(f->h);
  header *const second = header_of(f->payload);
  if (second != f->h) {
    rf_sizeclass_header_set(heap, second, second->word, SECOND | FREED);
  }
  rf_sizeclass_header_set(heap, f->h, (uintptr_t)heap->queue[q], q | FREED);
  heap->queue[q] = f->h;
  heap->queued[q]++;
  heap->live[q]--;
}

/* Nothing of the buffer is in use: it can be carved anew, for other classes. Headers left there say FREED. */
void rf_sizeclass_uncarve(rf_sizeclass *heap) {
  memset(heap->queue, 0, sizeof heap->queue);
  memset(heap->queued, 0, sizeof heap->queued);
  carved_set(heap, 0);
}
