#include "tools/trace/c_test.h"

/* Within a comment of one line: a name may have line feeds. */
static void put_comment(const char *text, const rf_sink *sink) {
  for (; *text != '\0'; text++) {
    rf_sink_char(sink, (char)((unsigned char)*text < 0x20 ? '?' : *text));
  }
}

static void put_op(const trace *t, const trace_op *op, const rf_sink *sink) {
  static const char *const names[] = {"    {ALLOC, ", "    {FREE, ", "    {REALLOC, "};
  const trace_site *const site = op->site < t->site_count ? &t->sites[op->site] : NULL;
  rf_sink_str(sink, names[op->kind]);
  rf_sink_uint(sink, op->id);
  rf_sink_str(sink, ", ");
  rf_sink_uint(sink, op->size);
  rf_sink_str(sink, ", ");
  rf_sink_uint(sink, op->align);
  rf_sink_str(sink, "},");
  if (site != NULL && site->file[0] != '\0') {
    rf_sink_str(sink, " // ");
    put_comment(site->file, sink);
    rf_sink_char(sink, ':');
    rf_sink_uint(sink, site->line);
  }
  rf_sink_char(sink, '\n');
}

static const char head[] =
    "/* Made by `ringfence replay --c-test`. Exits with 0 where every request succeeds, no block "
    "changes while it is live, and\n"
    " * the heap is whole at the end. Another heap: change make(). */\n"
    "#include <ringfence/tlsf.h>\n"
    "#include <stdio.h>\n"
    "#include <string.h>\n"
    "\n";

static const char types[] = "\n"
                            "enum { ALLOC, FREE, REALLOC };\n"
                            "\n"
                            "/* Alignment 0: that of malloc. */\n"
                            "static const struct request {\n"
                            "  unsigned char kind;\n"
                            "  unsigned block;\n"
                            "  size_t size;\n"
                            "  size_t align;\n"
                            "} requests[] = {\n";

static const char body[] =
    "};\n"
    "\n"
    "static unsigned char *blocks[BLOCKS];\n"
    "static size_t sizes[BLOCKS];\n"
    "\n"
    "static rf_allocator *make(void) {\n"
    "  static rf_tlsf heap;\n"
    "  static _Alignas(16) unsigned char arena[ARENA_BYTES];\n"
    "  return rf_tlsf_init(&heap, arena, sizeof arena) == RF_OK ? &heap.base : NULL;\n"
    "}\n"
    "\n"
    "static int is_whole(unsigned block, size_t size) {\n"
    "  for (size_t i = 0; i < size; i++) {\n"
    "    if (blocks[block][i] != (unsigned char)(block * 31 + i)) {\n"
    "      return 0;\n"
    "    }\n"
    "  }\n"
    "  return 1;\n"
    "}\n"
    "\n"
    "static void fill(unsigned block, size_t size) {\n"
    "  for (size_t i = 0; i < size; i++) {\n"
    "    blocks[block][i] = (unsigned char)(block * 31 + i);\n"
    "  }\n"
    "  sizes[block] = size;\n"
    "}\n"
    "\n"
    "/* NULL, or the fault. */\n"
    "static const char *request(rf_allocator *heap, const struct request *r) {\n"
    "  size_t const align = r->align != 0 ? r->align : RF_ALIGN_DEFAULT;\n"
    "  size_t const size = r->size != 0 ? r->size : 1;\n"
    "  if (r->kind != ALLOC && !is_whole(r->block, sizes[r->block])) {\n"
    "    return \"the block was changed\";\n"
    "  }\n"
    "  if (r->kind == FREE) {\n"
    "    return rf_free(heap, blocks[r->block]) == RF_OK ? NULL : \"free was refused\";\n"
    "  }\n"
    "  unsigned char *const p = r->kind == ALLOC ? rf_aligned_alloc(heap, align, size)\n"
    "                                            : rf_realloc_at(heap, blocks[r->block], size, align, NULL);\n"
    "  if (p == NULL) {\n"
    "    return \"there is no memory\";\n"
    "  }\n"
    "  blocks[r->block] = p;\n"
    "  if (r->kind == REALLOC && !is_whole(r->block, sizes[r->block] < size ? sizes[r->block] : size)) {\n"
    "    return \"realloc lost the contents\";\n"
    "  }\n"
    "  fill(r->block, size);\n"
    "  return NULL;\n"
    "}\n"
    "\n"
    "int main(void) {\n"
    "  rf_allocator *const heap = make();\n"
    "  if (heap == NULL) {\n"
    "    fprintf(stderr, \"the arena is too small\\n\");\n"
    "    return 1;\n"
    "  }\n"
    "  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {\n"
    "    const char *const fault = request(heap, &requests[i]);\n"
    "    if (fault != NULL) {\n"
    "      fprintf(stderr, \"request %zu, block %u: %s\\n\", i, requests[i].block, fault);\n"
    "      return 1;\n"
    "    }\n"
    "  }\n"
    "  rf_fault where;\n"
    "  if (rf_check(heap, &where) != RF_OK) {\n"
    "    fprintf(stderr, \"the heap is damaged at %p\\n\", where.ptr);\n"
    "    return 1;\n"
    "  }\n"
    "  return 0;\n"
    "}\n";

static void put_define(const rf_sink *sink, const char *name, size_t value) {
  rf_sink_str(sink, "#define ");
  rf_sink_str(sink, name);
  rf_sink_char(sink, ' ');
  rf_sink_uint(sink, value);
  rf_sink_str(sink, "U\n");
}

void trace_write_c_test(const trace *t, size_t arena, const rf_sink *sink) {
  rf_sink_str(sink, head);
  put_define(sink, "ARENA_BYTES", arena);
  put_define(sink, "BLOCKS", t->ids != 0 ? t->ids : 1);
  rf_sink_str(sink, types);
  for (size_t i = 0; i < t->count; i++) {
    put_op(t, &t->ops[i], sink);
  }
  rf_sink_str(sink, body);
}
