/* Calls intercepted functions from .preinit_array, before any library has begun: each as the first one of a process of
 * its own. Says which of them ended it, or set another error than theirs; else "N calls". */
#define _GNU_SOURCE
#include <aio.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t at, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags, void *from, socklen_t *length);
size_t __fread_chk(void *to, size_t room, size_t size, size_t n, FILE *stream);
size_t __fread_unlocked_chk(void *to, size_t room, size_t size, size_t n, FILE *stream);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);
ssize_t __readlink_chk(const char *path, char *buf, size_t n, size_t room);
int __poll_chk(struct pollfd *list, nfds_t n, int ms, size_t room);
char *__fgets_chk(char *to, size_t room, int n, FILE *stream);
int __vfprintf_chk(FILE *stream, int flag, const char *format, va_list list);
int __fprintf_chk(FILE *stream, int flag, const char *format, ...);

static char bytes[256];
static char *line;
static size_t room;
static struct iovec one = {bytes, 1};
static struct msghdr message;
static struct mmsghdr messages;
static struct aiocb none;
static struct aiocb64 none64;
static DIR *folder; /* "/": see open_folder */

/* opendir is another list's: it is the only call before these. */
static DIR *open_folder(void) {
  return folder = fdopendir((int)syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int print(int (*by)(FILE *, const char *, va_list), ...) {
  va_list list;
  va_start(list, by);
  int const result = by(stderr, "", list);
  va_end(list);
  return result;
}

static int print_checked(FILE *stream, const char *format, va_list list) {
  return __vfprintf_chk(stream, 1, format, list);
}

static int scan(FILE *stream, const char *format, va_list list) {
  return vfscanf(stdin, format, list);
}

static void *nothing(void *argument) {
  return argument;
}

static int run_thread(void) {
  pthread_t thread;
  return pthread_create(&thread, NULL, nothing, NULL) == 0 ? pthread_join(thread, NULL) : -1;
}

/* CALL(the error that it sets, 0: none; the call). Streams are at the end of their files: stdin is /dev/null. */
#define CALLS                                                                                                          \
  CALL(EBADF, read(-1, bytes, 1))                                                                                      \
  CALL(EBADF, write(-1, bytes, 1))                                                                                     \
  CALL(EBADF, pread(-1, bytes, 1, 0))                                                                                  \
  CALL(EBADF, pwrite(-1, bytes, 1, 0))                                                                                 \
  CALL(EBADF, recv(-1, bytes, 1, 0))                                                                                   \
  CALL(EBADF, send(-1, bytes, 1, 0))                                                                                   \
  CALL(EBADF, recvfrom(-1, bytes, 1, 0, NULL, NULL))                                                                   \
  CALL(EBADF, sendto(-1, bytes, 1, 0, NULL, 0))                                                                        \
  CALL(EBADF, readv(-1, &one, 1))                                                                                      \
  CALL(EBADF, writev(-1, &one, 1))                                                                                     \
  CALL(EBADF, preadv(-1, &one, 1, 0))                                                                                  \
  CALL(EBADF, pwritev(-1, &one, 1, 0))                                                                                 \
  CALL(EBADF, recvmsg(-1, &message, 0))                                                                                \
  CALL(EBADF, sendmsg(-1, &message, 0))                                                                                \
  CALL(0, fread(bytes, 1, 1, stdin))                                                                                   \
  CALL(0, fread_unlocked(bytes, 1, 1, stdin))                                                                          \
  CALL(0, fwrite(bytes, 1, 0, stderr))                                                                                 \
  CALL(0, fwrite_unlocked(bytes, 1, 0, stderr))                                                                        \
  CALL(0, process_vm_readv(getpid(), &one, 1, &one, 1, 0))                                                             \
  CALL(0, process_vm_writev(getpid(), &one, 1, &one, 1, 0))                                                            \
  CALL(0, fflush(stdin))                                                                                               \
  CALL(0, fflush_unlocked(stdin))                                                                                      \
  CALL(0, freopen64("/dev/null", "r", stdin))                                                                          \
  CALL(EBADF, pread64(-1, bytes, 1, 0))                                                                                \
  CALL(EBADF, pwrite64(-1, bytes, 1, 0))                                                                               \
  CALL(EBADF, preadv64(-1, &one, 1, 0))                                                                                \
  CALL(EBADF, pwritev64(-1, &one, 1, 0))                                                                               \
  CALL(EBADF, preadv2(-1, &one, 1, 0, 0))                                                                              \
  CALL(EBADF, pwritev2(-1, &one, 1, 0, 0))                                                                             \
  CALL(EBADF, preadv64v2(-1, &one, 1, 0, 0))                                                                           \
  CALL(EBADF, pwritev64v2(-1, &one, 1, 0, 0))                                                                          \
  CALL(EBADF, __read_chk(-1, bytes, 1, 1))                                                                             \
  CALL(EBADF, __pread_chk(-1, bytes, 1, 0, 1))                                                                         \
  CALL(EBADF, __pread64_chk(-1, bytes, 1, 0, 1))                                                                       \
  CALL(EBADF, __recv_chk(-1, bytes, 1, 1, 0))                                                                          \
  CALL(EBADF, __recvfrom_chk(-1, bytes, 1, 1, 0, NULL, NULL))                                                          \
  CALL(0, __fread_chk(bytes, 1, 1, 1, stdin))                                                                          \
  CALL(0, __fread_unlocked_chk(bytes, 1, 1, 1, stdin))                                                                 \
  CALL(0, fclose(stdin))                                                                                               \
  CALL(0, freopen("/dev/null", "r", stdin))                                                                            \
  CALL(ENOENT, chroot(""))                                                                                             \
  CALL(EINVAL, setuid((uid_t)-1))                                                                                      \
  CALL(EINVAL, seteuid((uid_t)-1))                                                                                     \
  CALL(0, setreuid((uid_t)-1, (uid_t)-1))                                                                              \
  CALL(0, setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1))                                                                  \
  CALL(0, unshare(0))                                                                                                  \
  CALL(ENOENT, open("", O_RDONLY))                                                                                     \
  CALL(ENOENT, open64("", O_RDONLY))                                                                                   \
  CALL(ENOENT, openat(AT_FDCWD, "", O_RDONLY))                                                                         \
  CALL(ENOENT, openat64(AT_FDCWD, "", O_RDONLY))                                                                       \
  CALL(ENOENT, __open_2("", O_RDONLY))                                                                                 \
  CALL(ENOENT, __open64_2("", O_RDONLY))                                                                               \
  CALL(ENOENT, __openat_2(AT_FDCWD, "", O_RDONLY))                                                                     \
  CALL(ENOENT, __openat64_2(AT_FDCWD, "", O_RDONLY))                                                                   \
  CALL(ENOENT, creat("", 0600))                                                                                        \
  CALL(ENOENT, creat64("", 0600))                                                                                      \
  CALL(ENOENT, opendir(""))                                                                                            \
  CALL(ENOENT, fopen("", "r"))                                                                                         \
  CALL(ENOENT, fopen64("", "r"))                                                                                       \
  CALL(ENOENT, access("", R_OK))                                                                                       \
  CALL(ENOENT, faccessat(AT_FDCWD, "", R_OK, 0))                                                                       \
  CALL(ENOENT, chdir(""))                                                                                              \
  CALL(ENOENT, chmod("", 0600))                                                                                        \
  CALL(ENOENT, fchmodat(AT_FDCWD, "", 0600, 0))                                                                        \
  CALL(ENOENT, chown("", 0, 0))                                                                                        \
  CALL(ENOENT, lchown("", 0, 0))                                                                                       \
  CALL(ENOENT, fchownat(AT_FDCWD, "", 0, 0, 0))                                                                        \
  CALL(ENOENT, mkdir("", 0700))                                                                                        \
  CALL(ENOENT, mkdirat(AT_FDCWD, "", 0700))                                                                            \
  CALL(ENOENT, mkfifo("", 0600))                                                                                       \
  CALL(ENOENT, rmdir(""))                                                                                              \
  CALL(ENOENT, unlink(""))                                                                                             \
  CALL(ENOENT, unlinkat(AT_FDCWD, "", 0))                                                                              \
  CALL(ENOENT, rename("", ""))                                                                                         \
  CALL(ENOENT, renameat(AT_FDCWD, "", AT_FDCWD, ""))                                                                   \
  CALL(ENOENT, renameat2(AT_FDCWD, "", AT_FDCWD, "", 0))                                                               \
  CALL(ENOENT, link("", ""))                                                                                           \
  CALL(ENOENT, linkat(AT_FDCWD, "", AT_FDCWD, "", 0))                                                                  \
  CALL(ENOENT, symlink("", ""))                                                                                        \
  CALL(ENOENT, symlinkat("", AT_FDCWD, ""))                                                                            \
  CALL(ENOENT, truncate("", 0))                                                                                        \
  CALL(ENOENT, truncate64("", 0))                                                                                      \
  CALL(0, stat("/", (struct stat *)bytes))                                                                             \
  CALL(0, lstat("/", (struct stat *)bytes))                                                                            \
  CALL(0, fstatat(AT_FDCWD, "/", (struct stat *)bytes, 0))                                                             \
  CALL(0, stat64("/", (struct stat64 *)bytes))                                                                         \
  CALL(0, lstat64("/", (struct stat64 *)bytes))                                                                        \
  CALL(0, fstatat64(AT_FDCWD, "/", (struct stat64 *)bytes, 0))                                                         \
  CALL(0, statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, (struct statx *)bytes))                                           \
  CALL(0, statfs("/", (struct statfs *)bytes))                                                                         \
  CALL(0, statfs64("/", (struct statfs64 *)bytes))                                                                     \
  CALL(EINVAL, readlink("/", bytes, 1))                                                                                \
  CALL(EINVAL, readlinkat(AT_FDCWD, "/", bytes, 1))                                                                    \
  CALL(EINVAL, __readlink_chk("/", bytes, 1, 1))                                                                       \
  CALL(ENOENT, utime("", NULL))                                                                                        \
  CALL(ENOENT, utimes("", NULL))                                                                                       \
  CALL(ENOENT, utimensat(AT_FDCWD, "", NULL, 0))                                                                       \
  CALL(EBADF, getdents64(-1, bytes, 1))                                                                                \
  CALL(0, getcwd(NULL, 0))                                                                                             \
  CALL(EBADF, fstat(-1, (struct stat *)bytes))                                                                         \
  CALL(EBADF, fstat64(-1, (struct stat64 *)bytes))                                                                     \
  CALL(EBADF, connect(-1, (struct sockaddr *)bytes, 2))                                                                \
  CALL(EBADF, bind(-1, (struct sockaddr *)bytes, 2))                                                                   \
  CALL(EBADF, getsockname(-1, (struct sockaddr *)bytes, &(socklen_t){2}))                                              \
  CALL(EBADF, getpeername(-1, (struct sockaddr *)bytes, &(socklen_t){2}))                                              \
  CALL(EBADF, accept(-1, NULL, NULL))                                                                                  \
  CALL(EBADF, accept4(-1, NULL, NULL, 0))                                                                              \
  CALL(EBADF, getsockopt(-1, SOL_SOCKET, SO_TYPE, bytes, &(socklen_t){4}))                                             \
  CALL(EBADF, setsockopt(-1, SOL_SOCKET, SO_REUSEADDR, bytes, 4))                                                      \
  CALL(0, socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)bytes))                                                           \
  CALL(EBADF, sendmmsg(-1, &messages, 1, 0))                                                                           \
  CALL(EBADF, recvmmsg(-1, &messages, 1, 0, NULL))                                                                     \
  CALL(0, poll(NULL, 0, 0))                                                                                            \
  CALL(0, __poll_chk(NULL, 0, 0, 0))                                                                                   \
  CALL(0, ppoll(NULL, 0, &(struct timespec){0}, NULL))                                                                 \
  CALL(0, select(0, NULL, NULL, NULL, &(struct timeval){0}))                                                           \
  CALL(EBADF, epoll_ctl(-1, EPOLL_CTL_ADD, -1, (struct epoll_event *)bytes))                                           \
  CALL(EBADF, epoll_wait(-1, (struct epoll_event *)bytes, 1, 0))                                                       \
  CALL(EBADF, epoll_pwait(-1, (struct epoll_event *)bytes, 1, 0, NULL))                                                \
  CALL(0, pipe((int *)bytes))                                                                                          \
  CALL(0, pipe2((int *)bytes, O_CLOEXEC))                                                                              \
  CALL(0, getrandom(bytes, 1, GRND_NONBLOCK))                                                                          \
  CALL(EBADF, ioctl(-1, FIONREAD, bytes))                                                                              \
  CALL(0, getgroups(0, NULL))                                                                                          \
  CALL(EINVAL, setgroups((size_t)-1, NULL))                                                                            \
  CALL(0, aio_error(&none))                                                                                            \
  CALL(0, aio_return(&none))                                                                                           \
  CALL(0, aio_error64(&none64))                                                                                        \
  CALL(0, aio_return64(&none64))                                                                                       \
  CALL(0, uname((struct utsname *)calloc(1, sizeof(struct utsname))))                                                  \
  CALL(ECHILD, waitpid(-1, NULL, 0))                                                                                   \
  CALL(ECHILD, wait4(-1, NULL, 0, NULL))                                                                               \
  CALL(0, fgets(bytes, 2, stdin))                                                                                      \
  CALL(0, __fgets_chk(bytes, 2, 2, stdin))                                                                             \
  CALL(0, fputs("", stderr))                                                                                           \
  CALL(0, fprintf(stderr, ""))                                                                                         \
  CALL(0, __fprintf_chk(stderr, 1, ""))                                                                                \
  CALL(0, print(vfprintf))                                                                                             \
  CALL(0, print(print_checked))                                                                                        \
  CALL(0, fscanf(stdin, "%*c"))                                                                                        \
  CALL(0, print(scan))                                                                                                 \
  CALL(0, fseek(stdin, 0, SEEK_SET))                                                                                   \
  CALL(0, fseeko(stdin, 0, SEEK_SET))                                                                                  \
  CALL(0, fseeko64(stdin, 0, SEEK_SET))                                                                                \
  CALL(0, ftell(stdin))                                                                                                \
  CALL(0, ftello(stdin))                                                                                               \
  CALL(0, ftello64(stdin))                                                                                             \
  CALL(0, (rewind(stdin), 0))                                                                                          \
  CALL(0, getline(&line, &room, stdin))                                                                                \
  CALL(0, getdelim(&line, &room, '.', stdin))                                                                          \
  CALL(0, __getdelim(&line, &room, '.', stdin))                                                                        \
  CALL(0, setvbuf(stdin, NULL, _IONBF, 0))                                                                             \
  CALL(0, readdir(open_folder()))                                                                                      \
  CALL(0, readdir64(open_folder()))                                                                                    \
  CALL(0, readdir_r(open_folder(), malloc(sizeof(struct dirent)), &(struct dirent *){0}))                              \
  CALL(0, readdir64_r(open_folder(), malloc(sizeof(struct dirent64)), &(struct dirent64 *){0}))                        \
  CALL(0, (rewinddir(open_folder()), 0))                                                                               \
  CALL(0, telldir(open_folder()))                                                                                      \
  CALL(0, (seekdir(open_folder(), 0), 0))                                                                              \
  CALL(0, closedir(open_folder()))                                                                                     \
  CALL(EINVAL, sigqueue(getpid(), 1000, (union sigval){0}))                                                            \
  CALL(0, pthread_sigqueue(pthread_self(), 0, (union sigval){0}))                                                      \
  CALL(0, run_thread())                                                                                                \
  CALL(0, sigaction(SIGUSR1, NULL, (struct sigaction *)bytes))                                                         \
  CALL(0, signal(SIGUSR1, SIG_IGN))                                                                                    \
  CALL(0, sigprocmask(SIG_BLOCK, NULL, NULL))                                                                          \
  CALL(0, pthread_sigmask(SIG_BLOCK, NULL, NULL))                                                                      \
  CALL(0, sigaltstack(NULL, (stack_t *)bytes))                                                                         \
  CALL(0, dlopen(NULL, RTLD_NOW))                                                                                      \
  CALL(0, dlclose(dlopen(NULL, RTLD_NOW)))                                                                             \
  CALL(EBADF, dup(-1))                                                                                                 \
  CALL(EBADF, dup2(-1, 0))                                                                                             \
  CALL(EBADF, dup3(-1, 0, 0))                                                                                          \
  CALL(EBADF, close(-1))                                                                                               \
  CALL(EINVAL, close_range(2, 1, 0))                                                                                   \
  CALL(0, (closefrom(9), 0))                                                                                           \
  CALL(0, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))                                                                          \
  CALL(EBADF, syscall(SYS_read, -1, bytes, 1))                                                                         \
  CALL(0, mprotect(NULL, 0, PROT_NONE))                                                                                \
  CALL(ENOENT, execv("", (char *[]){"", NULL}))                                                                        \
  CALL(ENOENT, execveat(AT_FDCWD, "", (char *[]){"", NULL}, (char *[]){NULL}, 0))                                      \
  CALL(0, system(NULL))                                                                                                \
  CALL(0, free(malloc(1)))

#define CALL(error, ...) {#__VA_ARGS__, error},
static const struct {
  const char *text;
  int error;
} calls[] = {CALLS};
#undef CALL

#define TOTAL (sizeof calls / sizeof calls[0])

#define CALL(error, ...)                                                                                               \
  if (number == here++) {                                                                                              \
    errno = 0;                                                                                                         \
    (void)(__VA_ARGS__);                                                                                               \
    return;                                                                                                            \
  }

static void make(size_t number) {
  size_t here = 0;
  CALLS
}

static int ended[TOTAL]; /* how the process of each did, as waitid says */
static int status[TOTAL];

static void early(int count, char **arguments) {
  if (count < 2 || strcmp(arguments[1], "early") != 0) {
    return;
  }
  for (size_t i = 0; i < TOTAL; i++) {
    siginfo_t child;
    pid_t const pid = fork();
    if (pid == 0) {
      make(i);
      _exit(errno);
    }
    if (waitid(P_PID, (id_t)pid, &child, WEXITED) == 0) { /* not one of them */
      ended[i] = child.si_code;
      status[i] = child.si_status;
    }
  }
}

__attribute__((section(".preinit_array"), used)) static void (*const begin)(int, char **) = early;

int main(void) {
  size_t right = 0;
  for (size_t i = 0; i < TOTAL; i++) {
    bool const exited = ended[i] == CLD_EXITED;
    if (exited && status[i] == calls[i].error) {
      right++;
    } else {
      printf("%s: %s\n", calls[i].text, exited ? strerrorname_np(status[i]) : strsignal(status[i]));
    }
  }
  printf("%zu calls, %zu as they should be\n", TOTAL, right);
  return right == TOTAL ? 0 : 1;
}
