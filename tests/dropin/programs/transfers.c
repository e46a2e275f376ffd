/* Has the system read or write a block: transfers CALL good|freed|short. Prints what the call returned, and errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define SIZE 64

ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
ssize_t __recv_chk(int, void *, size_t, size_t, int);
size_t __fread_chk(void *, size_t, size_t, size_t, FILE *);

static int file;       /* has SIZE bytes */
static int ends[2];    /* of a pipe that has as many */
static int sockets[2]; /* the first one has as many to read */
static FILE *stream;   /* over the file, unbuffered */
static void *block;

static struct iovec *list_of(void) {
  static struct iovec list[2];
  static char first[8];
  list[0] = (struct iovec){first, sizeof first};
  list[1] = (struct iovec){block, SIZE};
  return list;
}

static struct msghdr *message(void) {
  static struct msghdr m;
  static struct iovec one;
  one = (struct iovec){block, SIZE};
  m = (struct msghdr){.msg_iov = &one, .msg_iovlen = 1};
  return &m;
}

static struct iovec *own_bytes(void) {
  static char bytes[SIZE];
  static struct iovec one;
  one = (struct iovec){bytes, SIZE};
  return &one;
}

static const size_t all = (size_t)1 << 20; /* of room, for the compiler's checks */

#define CASE(name, call)                                                                                               \
  static ssize_t name##_case(void) {                                                                                   \
    return (ssize_t)(call);                                                                                            \
  }
CASE(read, read(file, block, SIZE))
CASE(read_pipe, read(ends[0], block, SIZE))
CASE(pread, pread(file, block, SIZE, 0))
CASE(pread64, pread64(file, block, SIZE, 0))
CASE(recv, recv(sockets[0], block, SIZE, 0))
CASE(recvfrom, recvfrom(sockets[0], block, SIZE, 0, NULL, NULL))
CASE(recvmsg, recvmsg(sockets[0], message(), 0))
CASE(readv, readv(file, list_of(), 2))
CASE(preadv, preadv(file, list_of(), 2, 0))
CASE(preadv64, preadv64(file, list_of(), 2, 0))
CASE(preadv2, preadv2(file, list_of(), 2, 0, 0))
CASE(preadv64v2, preadv64v2(file, list_of(), 2, 0, 0))
CASE(fread, fread(block, 1, SIZE, stream))
CASE(fread_unlocked, fread_unlocked(block, 1, SIZE, stream))
CASE(read_chk, __read_chk(file, block, SIZE, all))
CASE(pread_chk, __pread_chk(file, block, SIZE, 0, all))
CASE(recv_chk, __recv_chk(sockets[0], block, SIZE, all, 0))
CASE(fread_chk, __fread_chk(block, all, 1, SIZE, stream))
CASE(vm_get, process_vm_readv(getpid(), list_of() + 1, 1, own_bytes(), 1, 0))
CASE(write, write(file, block, SIZE))
CASE(write_pipe, write(ends[1], block, SIZE))
CASE(pwrite, pwrite(file, block, SIZE, 0))
CASE(pwrite64, pwrite64(file, block, SIZE, 0))
CASE(send, send(sockets[0], block, SIZE, 0))
CASE(sendto, sendto(sockets[0], block, SIZE, 0, NULL, 0))
CASE(sendmsg, sendmsg(sockets[0], message(), 0))
CASE(writev, writev(file, list_of(), 2))
CASE(pwritev, pwritev(file, list_of(), 2, 0))
CASE(pwritev64, pwritev64(file, list_of(), 2, 0))
CASE(pwritev2, pwritev2(file, list_of(), 2, 0, 0))
CASE(pwritev64v2, pwritev64v2(file, list_of(), 2, 0, 0))
CASE(vm_write, process_vm_writev(getpid(), list_of() + 1, 1, own_bytes(), 1, 0))
CASE(fwrite, fwrite(block, 1, SIZE, stream))
CASE(fwrite_unlocked, fwrite_unlocked(block, 1, SIZE, stream))

static const struct {
  const char *name;
  ssize_t (*run)(void);
} cases[] = {
#define ROW(name) {#name, name##_case},
    ROW(read) ROW(read_pipe) ROW(pread) ROW(pread64) ROW(recv) ROW(recvfrom) ROW(recvmsg) ROW(readv) ROW(preadv)
        ROW(preadv64) ROW(preadv2) ROW(preadv64v2) ROW(fread) ROW(fread_unlocked) ROW(read_chk) ROW(pread_chk)
            ROW(recv_chk) ROW(fread_chk) ROW(vm_get) ROW(write) ROW(write_pipe) ROW(pwrite) ROW(pwrite64) ROW(send)
                ROW(sendto) ROW(sendmsg) ROW(writev) ROW(pwritev) ROW(pwritev64) ROW(pwritev2) ROW(pwritev64v2)
                    ROW(fwrite) ROW(fwrite_unlocked) ROW(vm_write)};

static void prepare(void) {
  char data[SIZE + 8] = "data";
  file = memfd_create("data", 0);
  if (file < 0 || pipe(ends) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0 ||
      write(file, data, sizeof data) != sizeof data || lseek(file, 0, SEEK_SET) != 0 ||
      write(ends[1], data, SIZE) != SIZE || write(sockets[1], data, SIZE) != SIZE) {
    exit(3);
  }
  stream = fdopen(file, "r+");
  setvbuf(stream, NULL, _IONBF, 0);
}

/* Programs ask for more than there is, with room for it, and for nothing. */
static void ask_for_more(void) {
  char *const large = malloc(1 << 16);
  if (pread(file, large, 1 << 16, 0) != SIZE + 8 || read(file, NULL, 0) != 0 || read(-1, large, 5) != -1 ||
      read(file, (void *)16, 5) != -1 || errno != EFAULT || writev(file, (void *)16, 3) != -1 || errno != EFAULT) {
    exit(4);
  }
  (void)lseek(file, 0, SEEK_SET);
  free(large);
}

static void *wait_for_data(void *unused) {
  char byte;
  (void)unused;
  (void)read(ends[0], &byte, 1);
  return NULL;
}

/* Each of them is where a thread may be cancelled. */
static int cancel(void) {
  pthread_t thread;
  void *result = NULL;
  return pipe(ends) != 0 || pthread_create(&thread, NULL, wait_for_data, NULL) != 0 || pthread_cancel(thread) != 0 ||
                 pthread_join(thread, &result) != 0 || result != PTHREAD_CANCELED
             ? 5
             : 0;
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "cancel") == 0) {
    return cancel();
  }
  const char *const how = argc > 2 ? argv[2] : "good";
  prepare();
  ask_for_more();
  block = malloc(strcmp(how, "short") == 0 ? SIZE / 2 : SIZE);
  memset(block, 'x', SIZE / 2);
  if (strcmp(how, "freed") == 0) {
    free(block);
  }
  for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof cases[0]; i++) {
    if (strcmp(argv[1], cases[i].name) == 0) {
      errno = 0;
      ssize_t const result = cases[i].run();
      printf("%zd %s\n", result, strerrorname_np(errno));
    }
  }
  if (argc == 1) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      printf("%s%s", cases[i].name, i < sizeof cases / sizeof cases[0] - 1 ? " " : "\n");
    }
  }
  return 0;
}
