/* Tells the system of a block by its address: calls CALL good|freed|short. The block has room for what the call needs;
 * short: it is too small for it. Prints what the call returned, and errno. Without arguments: the names of the calls,
 * and of each what it does with the block. */
#define _GNU_SOURCE
#include <aio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static char *block;
static int ends[2]; /* of a pipe */
static int peer;    /* a socket that knows its address */

/* Below a folder where nobody, root included, can make anything: no case may change a file of the machine. */
#define NOWHERE "/proc/none/"
static const char other[] = NOWHERE "else";

/* ---- The calls ---- */

static void *path(void) {
  return block;
}

static struct mmsghdr *messages(void) {
  static struct mmsghdr list;
  static struct iovec one;
  one = (struct iovec){block, 64};
  list = (struct mmsghdr){.msg_hdr = {.msg_iov = &one, .msg_iovlen = 1}};
  return &list;
}

static socklen_t *length(void) {
  static socklen_t of_address;
  of_address = sizeof(struct sockaddr_in);
  return &of_address;
}

#define OF_SENDER 8 /* bytes of an address that the system makes for a socket of the machine */

static void bind_somewhere(int socket, struct sockaddr_un *address, socklen_t *size) {
  *size = sizeof address->sun_family;
  address->sun_family = AF_UNIX;
  (void)bind(socket, (struct sockaddr *)address, *size);
  *size = sizeof *address;
  (void)getsockname(socket, (struct sockaddr *)address, size);
}

/* A socket with a message from one that has an address. */
static int with_a_message(void) {
  int pair[2];
  struct sockaddr_un address;
  socklen_t size;
  (void)socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
  bind_somewhere(pair[1], &address, &size);
  (void)send(pair[1], "x", 1, 0);
  return pair[0];
}

static long receive_from(void *from, socklen_t *size) {
  char byte;
  return recvfrom(with_a_message(), &byte, 1, 0, (struct sockaddr *)from, size);
}

static long receive_message_from(void *from, socklen_t size) {
  char byte;
  struct iovec one = {&byte, 1};
  struct msghdr message = {.msg_name = from, .msg_namelen = size, .msg_iov = &one, .msg_iovlen = 1};
  return recvmsg(with_a_message(), &message, 0);
}

/* The number of a descriptor is no result that is the same each time. */
static int accept_from(void *from, socklen_t *size) {
  struct sockaddr_un address;
  struct sockaddr_un own;
  socklen_t room;
  int const server = socket(AF_UNIX, SOCK_STREAM, 0);
  int const client = socket(AF_UNIX, SOCK_STREAM, 0);
  bind_somewhere(server, &address, &room);
  (void)listen(server, 1);
  socklen_t unused;
  bind_somewhere(client, &own, &unused);
  (void)connect(client, (struct sockaddr *)&address, room);
  return accept(server, (struct sockaddr *)from, size) < 0 ? -1 : 0;
}

static int wait_for_child(void) {
  pid_t const child = fork();
  if (child == 0) {
    _exit(0);
  }
  return waitpid(child, (int *)(void *)block, 0) == child ? 0 : -1;
}

static int read_later(void) {
  struct aiocb request = {.aio_fildes = ends[0], .aio_buf = block, .aio_nbytes = 64};
  const struct aiocb *const list[] = {&request};
  (void)aio_read(&request);
  (void)aio_suspend(list, 1, NULL);
  return (int)aio_return(&request);
}

static int spawn(void) {
  char name[] = "sh";
  char option[] = "-c";
  char *const arguments[] = {name, option, block, NULL};
  pid_t child;
  errno = posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ);
  return errno != 0 ? -1 : waitpid(child, NULL, 0) == child ? 0 : -2;
}

static int pipe_from(void) {
  FILE *const stream = popen(block, "r");
  return stream != NULL ? pclose(stream) : -1;
}

typedef enum use { NAMES, READS, WRITES } use;

#define CASE(name, size, what, call)                                                                                   \
  static long name##_case(void) {                                                                                      \
    return (long)(call);                                                                                               \
  }
#include "calls_list.h"
#undef CASE

static const struct {
  const char *name;
  size_t size;
  use what;
  long (*run)(void);
} cases[] = {
#define CASE(name, size, what, call) {#name, size, what, name##_case},
#include "calls_list.h"
};

/* ---- The program ---- */

static void prepare(size_t size, bool is_short) {
  static const char name[] = NOWHERE "x";
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  size_t const needed = size != 0 ? size : sizeof name;
  size_t const room = is_short ? needed - 1 : needed;
  peer = socket(AF_INET, SOCK_DGRAM, 0);
  static const char data[64];
  socklen_t known = sizeof address;
  if (pipe(ends) != 0 || write(ends[1], data, sizeof data) != sizeof data ||
      bind(peer, (struct sockaddr *)&address, known) != 0 ||
      getsockname(peer, (struct sockaddr *)&address, &known) != 0 ||
      connect(peer, (struct sockaddr *)&address, known) != 0) {
    exit(3);
  }
  block = malloc(room);
  memset(block, 0, room);
  if (size == 0) {
    memcpy(block, name, room);
  }
}

int main(int count, char **arguments) {
  static const char *const uses[] = {"names", "reads", "writes"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (count < 3) {
      printf("%s %s\n", cases[i].name, uses[cases[i].what]);
    } else if (strcmp(cases[i].name, arguments[1]) == 0) {
      bool const freed = strcmp(arguments[2], "freed") == 0;
      prepare(cases[i].size, strcmp(arguments[2], "short") == 0);
      if (freed) {
        free(block);
      }
      errno = 0;
      long const result = cases[i].run();
      printf("%d %s\n", result < 0 ? -1 : 0, strerrorname_np(errno));
      if (!freed) {
        free(block);
      }
    }
  }
  return 0;
}
