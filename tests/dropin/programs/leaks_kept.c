/* Blocks that something points to, though it takes a look to see it. */
#define _GNU_SOURCE
#include "leaks.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static __thread void *volatile in_a_thread_local;

static void kept_global(void) {
  in_a_global = malloc(33);
}

static void kept_thread_local(void) {
  in_a_thread_local = malloc(33);
}

static void kept_chain(void) {
  in_a_global = make_node(make_node(make_node(NULL, NULL), NULL), NULL);
}

static void kept_by_an_interior_pointer(void) {
  in_a_global = (char *)malloc(100) + 50;
}

static void pointed_to_behind_its_end(void) {
  in_a_global = (char *)malloc(100) + 100;
}

static void pointed_to_behind_its_odd_end(void) {
  in_a_global = (char *)malloc(33) + 33;
}

static void kept_in_mapped_memory(void) {
  in_mapped_memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  in_mapped_memory[1000] = malloc(33);
}

static void kept_in_read_only_memory(void) {
  in_mapped_memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  in_mapped_memory[10] = malloc(33);
  mprotect(in_mapped_memory, 4096, PROT_READ);
}

static void kept_in_closed_memory(void) {
  kept_in_read_only_memory();
  mprotect(in_mapped_memory, 4096, PROT_NONE);
}

/* Nothing was written to the address at which the memory is in the end. */
static void kept_in_shared_memory_at_another_address(void) {
  void **const first = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  first[1000] = malloc(33);
  in_mapped_memory = mremap(first, 0, 1 << 20, MREMAP_MAYMOVE);
  munmap(first, 1 << 20);
}

/* A child that allocates looks for leaks; its parent's blocks are among its own. */
static void kept_in_shared_memory_of_the_parent(void) {
  int status = 0;
  in_mapped_memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  in_mapped_memory[1000] = malloc(33);
  wipe();
  pid_t const child = fork();
  if (child == 0) {
    free(malloc(1));
    exit(0);
  }
  if (waitpid(child, &status, 0) != child || status != 0) {
    exit(1);
  }
}

static void kept_by_a_tagged_pointer(void) {
  uintptr_t const tagged = (uintptr_t)malloc(33);
#if UINTPTR_MAX > UINT32_MAX
  in_a_global = (void *)(tagged | (uintptr_t)0xFFF9 << 48);
#else
  in_a_global = (void *)(tagged | 3);
#endif
}

static void kept_in_a_big_sparse_block(void) {
  char *const sparse = calloc(1, (size_t)256 << 20);
  *(void **)(void *)(sparse + ((size_t)200 << 20)) = malloc(33);
  in_a_global = sparse;
}

/* As a compiler at run time puts addresses into instructions: at any byte. */
static void keep_in_code(size_t size, size_t offset) {
  void *const lost = malloc(33);
  unsigned char *const code = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(code, 0xCC, size);
  memcpy(code + offset, &lost, sizeof lost);
  mprotect(code, size, PROT_READ | PROT_EXEC);
}

static void kept_in_code_made_at_run_time(void) {
  keep_in_code(4096, 13);
}

/* The search reads 64 KiB at a time. */
static void kept_in_code_across_two_pieces(void) {
  keep_in_code((size_t)256 << 10, ((size_t)64 << 10) - 3);
}

static void kept_in_code_at_the_last_byte_of_a_piece(void) {
  keep_in_code((size_t)256 << 10, ((size_t)64 << 10) - 1);
}

/* The search looks up 256 pages at a time: whether they were ever touched. */
static void kept_in_code_across_two_lookups(void) {
  size_t const page = (size_t)sysconf(_SC_PAGESIZE);
  keep_in_code(512 * page, 256 * page - 3);
}

/* As in a container that forbids to read another process's memory, and one's own by this way. */
static void kept_in_code_where_the_kernel_copies_nothing(void) {
  struct sock_filter list[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog const filter = {sizeof list / sizeof list[0], list};
  keep_in_code(4096, 13);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static void kept_by_a_key(void) {
  pthread_key_t key;
  pthread_key_create(&key, NULL);
  pthread_setspecific(key, malloc(33));
}

/* The pointer stands behind the page. */
static void keep_beside_a_closed_page(size_t size) {
  size_t const page = (size_t)sysconf(_SC_PAGESIZE);
  void *block = NULL;
  if (posix_memalign(&block, page, size * page) == 0) {
    memset(block, 0, size * page);
    ((void **)block)[(size - 1) * page / sizeof block] = malloc(33);
    mprotect(block, page, PROT_NONE);
    in_a_global = block;
  }
}

static void kept_beside_a_closed_page(void) {
  keep_beside_a_closed_page(4);
}

static void kept_beside_a_closed_page_of_a_big_block(void) {
  keep_beside_a_closed_page(40);
}

static void kept_beside_a_closed_page_of_a_sparse_block(void) {
  keep_beside_a_closed_page(400);
}

static void kept_by_the_c_library(void) {
  FILE *volatile f = fopen("/dev/null", "w");
  fprintf(f, "buffered");
  f = NULL;
  (void)f;
}

const test_case kept_blocks[] = {
    {"kept_global", kept_global},
    {"kept_thread_local", kept_thread_local},
    {"kept_chain", kept_chain},
    {"kept_by_an_interior_pointer", kept_by_an_interior_pointer},
    {"pointed_to_behind_its_end", pointed_to_behind_its_end},
    {"pointed_to_behind_its_odd_end", pointed_to_behind_its_odd_end},
    {"kept_in_mapped_memory", kept_in_mapped_memory},
    {"kept_in_read_only_memory", kept_in_read_only_memory},
    {"kept_in_closed_memory", kept_in_closed_memory},
    {"kept_in_shared_memory_at_another_address", kept_in_shared_memory_at_another_address},
    {"kept_in_shared_memory_of_the_parent", kept_in_shared_memory_of_the_parent},
    {"kept_by_a_tagged_pointer", kept_by_a_tagged_pointer},
    {"kept_in_a_big_sparse_block", kept_in_a_big_sparse_block},
    {"kept_in_code_made_at_run_time", kept_in_code_made_at_run_time},
    {"kept_in_code_across_two_pieces", kept_in_code_across_two_pieces},
    {"kept_in_code_at_the_last_byte_of_a_piece", kept_in_code_at_the_last_byte_of_a_piece},
    {"kept_in_code_across_two_lookups", kept_in_code_across_two_lookups},
    {"kept_in_code_where_the_kernel_copies_nothing", kept_in_code_where_the_kernel_copies_nothing},
    {"kept_by_a_key", kept_by_a_key},
    {"kept_beside_a_closed_page", kept_beside_a_closed_page},
    {"kept_beside_a_closed_page_of_a_big_block", kept_beside_a_closed_page_of_a_big_block},
    {"kept_beside_a_closed_page_of_a_sparse_block", kept_beside_a_closed_page_of_a_sparse_block},
    {"kept_by_the_c_library", kept_by_the_c_library},
    {NULL, NULL},
};
