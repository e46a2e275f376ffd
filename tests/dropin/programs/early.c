/* Calls intercepted functions from .preinit_array, before any library has begun that does not come first: each as the
 * first one of a process of its own. Says of each which error it set, or that the process died of it. */
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
#include <wchar.h>

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
wchar_t *__fgetws_chk(wchar_t *to, size_t room, int n, FILE *stream);
int __fwprintf_chk(FILE *stream, int flag, const wchar_t *format, ...);
int __vfprintf_chk(FILE *stream, int flag, const char *format, va_list list);
int __fprintf_chk(FILE *stream, int flag, const char *format, ...);

static char bytes[256];
static wchar_t wide[2];
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

#define CALLS                                                                                                          \
  CALL(read(-1, bytes, 1))                                                                                             \
  CALL(write(-1, bytes, 1))                                                                                            \
  CALL(pread(-1, bytes, 1, 0))                                                                                         \
  CALL(pwrite(-1, bytes, 1, 0))                                                                                        \
  CALL(recv(-1, bytes, 1, 0))                                                                                          \
  CALL(send(-1, bytes, 1, 0))                                                                                          \
  CALL(recvfrom(-1, bytes, 1, 0, NULL, NULL))                                                                          \
  CALL(sendto(-1, bytes, 1, 0, NULL, 0))                                                                               \
  CALL(readv(-1, &one, 1))                                                                                             \
  CALL(writev(-1, &one, 1))                                                                                            \
  CALL(preadv(-1, &one, 1, 0))                                                                                         \
  CALL(pwritev(-1, &one, 1, 0))                                                                                        \
  CALL(recvmsg(-1, &message, 0))                                                                                       \
  CALL(sendmsg(-1, &message, 0))                                                                                       \
  CALL(fread(bytes, 1, 1, stdin))                                                                                      \
  CALL(fread_unlocked(bytes, 1, 1, stdin))                                                                             \
  CALL(fwrite(bytes, 1, 0, stderr))                                                                                    \
  CALL(fwrite_unlocked(bytes, 1, 0, stderr))                                                                           \
  CALL(process_vm_readv(getpid(), &one, 1, &one, 1, 0))                                                                \
  CALL(process_vm_writev(getpid(), &one, 1, &one, 1, 0))                                                               \
  CALL(fflush(stdin))                                                                                                  \
  CALL(fflush_unlocked(stdin))                                                                                         \
  CALL(freopen64("/dev/null", "r", stdin))                                                                             \
  CALL(pread64(-1, bytes, 1, 0))                                                                                       \
  CALL(pwrite64(-1, bytes, 1, 0))                                                                                      \
  CALL(preadv64(-1, &one, 1, 0))                                                                                       \
  CALL(pwritev64(-1, &one, 1, 0))                                                                                      \
  CALL(preadv2(-1, &one, 1, 0, 0))                                                                                     \
  CALL(pwritev2(-1, &one, 1, 0, 0))                                                                                    \
  CALL(preadv64v2(-1, &one, 1, 0, 0))                                                                                  \
  CALL(pwritev64v2(-1, &one, 1, 0, 0))                                                                                 \
  CALL(__read_chk(-1, bytes, 1, 1))                                                                                    \
  CALL(__pread_chk(-1, bytes, 1, 0, 1))                                                                                \
  CALL(__pread64_chk(-1, bytes, 1, 0, 1))                                                                              \
  CALL(__recv_chk(-1, bytes, 1, 1, 0))                                                                                 \
  CALL(__recvfrom_chk(-1, bytes, 1, 1, 0, NULL, NULL))                                                                 \
  CALL(__fread_chk(bytes, 1, 1, 1, stdin))                                                                             \
  CALL(__fread_unlocked_chk(bytes, 1, 1, 1, stdin))                                                                    \
  CALL(fclose(stdin))                                                                                                  \
  CALL(freopen("/dev/null", "r", stdin))                                                                               \
  CALL(chroot(""))                                                                                                     \
  CALL(setuid((uid_t)-1))                                                                                              \
  CALL(seteuid((uid_t)-1))                                                                                             \
  CALL(setreuid((uid_t)-1, (uid_t)-1))                                                                                 \
  CALL(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1))                                                                     \
  CALL(unshare(0))                                                                                                     \
  CALL(open("", O_RDONLY))                                                                                             \
  CALL(open64("", O_RDONLY))                                                                                           \
  CALL(openat(AT_FDCWD, "", O_RDONLY))                                                                                 \
  CALL(openat64(AT_FDCWD, "", O_RDONLY))                                                                               \
  CALL(__open_2("", O_RDONLY))                                                                                         \
  CALL(__open64_2("", O_RDONLY))                                                                                       \
  CALL(__openat_2(AT_FDCWD, "", O_RDONLY))                                                                             \
  CALL(__openat64_2(AT_FDCWD, "", O_RDONLY))                                                                           \
  CALL(creat("", 0600))                                                                                                \
  CALL(creat64("", 0600))                                                                                              \
  CALL(opendir(""))                                                                                                    \
  CALL(fopen("", "r"))                                                                                                 \
  CALL(fopen64("", "r"))                                                                                               \
  CALL(access("", R_OK))                                                                                               \
  CALL(faccessat(AT_FDCWD, "", R_OK, 0))                                                                               \
  CALL(chdir(""))                                                                                                      \
  CALL(chmod("", 0600))                                                                                                \
  CALL(fchmodat(AT_FDCWD, "", 0600, 0))                                                                                \
  CALL(chown("", 0, 0))                                                                                                \
  CALL(lchown("", 0, 0))                                                                                               \
  CALL(fchownat(AT_FDCWD, "", 0, 0, 0))                                                                                \
  CALL(mkdir("", 0700))                                                                                                \
  CALL(mkdirat(AT_FDCWD, "", 0700))                                                                                    \
  CALL(mkfifo("", 0600))                                                                                               \
  CALL(rmdir(""))                                                                                                      \
  CALL(unlink(""))                                                                                                     \
  CALL(unlinkat(AT_FDCWD, "", 0))                                                                                      \
  CALL(rename("", ""))                                                                                                 \
  CALL(renameat(AT_FDCWD, "", AT_FDCWD, ""))                                                                           \
  CALL(renameat2(AT_FDCWD, "", AT_FDCWD, "", 0))                                                                       \
  CALL(link("", ""))                                                                                                   \
  CALL(linkat(AT_FDCWD, "", AT_FDCWD, "", 0))                                                                          \
  CALL(symlink("", ""))                                                                                                \
  CALL(symlinkat("", AT_FDCWD, ""))                                                                                    \
  CALL(truncate("", 0))                                                                                                \
  CALL(truncate64("", 0))                                                                                              \
  CALL(stat("/", (struct stat *)bytes))                                                                                \
  CALL(lstat("/", (struct stat *)bytes))                                                                               \
  CALL(fstatat(AT_FDCWD, "/", (struct stat *)bytes, 0))                                                                \
  CALL(stat64("/", (struct stat64 *)bytes))                                                                            \
  CALL(lstat64("/", (struct stat64 *)bytes))                                                                           \
  CALL(fstatat64(AT_FDCWD, "/", (struct stat64 *)bytes, 0))                                                            \
  CALL(statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, (struct statx *)bytes))                                              \
  CALL(statfs("/", (struct statfs *)bytes))                                                                            \
  CALL(statfs64("/", (struct statfs64 *)bytes))                                                                        \
  CALL(readlink("/", bytes, 1))                                                                                        \
  CALL(readlinkat(AT_FDCWD, "/", bytes, 1))                                                                            \
  CALL(__readlink_chk("/", bytes, 1, 1))                                                                               \
  CALL(utime("", NULL))                                                                                                \
  CALL(utimes("", NULL))                                                                                               \
  CALL(utimensat(AT_FDCWD, "", NULL, 0))                                                                               \
  CALL(getdents64(-1, bytes, 1))                                                                                       \
  CALL(getcwd(NULL, 0))                                                                                                \
  CALL(fstat(-1, (struct stat *)bytes))                                                                                \
  CALL(fstat64(-1, (struct stat64 *)bytes))                                                                            \
  CALL(connect(-1, (struct sockaddr *)bytes, 2))                                                                       \
  CALL(bind(-1, (struct sockaddr *)bytes, 2))                                                                          \
  CALL(getsockname(-1, (struct sockaddr *)bytes, &(socklen_t){2}))                                                     \
  CALL(getpeername(-1, (struct sockaddr *)bytes, &(socklen_t){2}))                                                     \
  CALL(accept(-1, NULL, NULL))                                                                                         \
  CALL(accept4(-1, NULL, NULL, 0))                                                                                     \
  CALL(getsockopt(-1, SOL_SOCKET, SO_TYPE, bytes, &(socklen_t){4}))                                                    \
  CALL(setsockopt(-1, SOL_SOCKET, SO_REUSEADDR, bytes, 4))                                                             \
  CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)bytes))                                                              \
  CALL(sendmmsg(-1, &messages, 1, 0))                                                                                  \
  CALL(recvmmsg(-1, &messages, 1, 0, NULL))                                                                            \
  CALL(poll(NULL, 0, 0))                                                                                               \
  CALL(__poll_chk(NULL, 0, 0, 0))                                                                                      \
  CALL(ppoll(NULL, 0, &(struct timespec){0}, NULL))                                                                    \
  CALL(select(0, NULL, NULL, NULL, &(struct timeval){0}))                                                              \
  CALL(epoll_ctl(-1, EPOLL_CTL_ADD, -1, (struct epoll_event *)bytes))                                                  \
  CALL(epoll_wait(-1, (struct epoll_event *)bytes, 1, 0))                                                              \
  CALL(epoll_pwait(-1, (struct epoll_event *)bytes, 1, 0, NULL))                                                       \
  CALL(pipe((int *)bytes))                                                                                             \
  CALL(pipe2((int *)bytes, O_CLOEXEC))                                                                                 \
  CALL(getrandom(bytes, 1, GRND_NONBLOCK))                                                                             \
  CALL(ioctl(-1, FIONREAD, bytes))                                                                                     \
  CALL(getgroups(0, NULL))                                                                                             \
  CALL(setgroups((size_t)-1, NULL))                                                                                    \
  CALL(aio_error(&none))                                                                                               \
  CALL(aio_return(&none))                                                                                              \
  CALL(aio_error64(&none64))                                                                                           \
  CALL(aio_return64(&none64))                                                                                          \
  CALL(uname((struct utsname *)calloc(1, sizeof(struct utsname))))                                                     \
  CALL(waitpid(-1, NULL, 0))                                                                                           \
  CALL(wait4(-1, NULL, 0, NULL))                                                                                       \
  CALL(fgets(bytes, 2, stdin))                                                                                         \
  CALL(__fgets_chk(bytes, 2, 2, stdin))                                                                                \
  CALL(fputs("", stderr))                                                                                              \
  CALL(fprintf(stderr, ""))                                                                                            \
  CALL(__fprintf_chk(stderr, 1, ""))                                                                                   \
  CALL(print(vfprintf))                                                                                                \
  CALL(print(print_checked))                                                                                           \
  CALL(fscanf(stdin, "%*c"))                                                                                           \
  CALL(print(scan))                                                                                                    \
  CALL(fseek(stdin, 0, SEEK_SET))                                                                                      \
  CALL(fseeko(stdin, 0, SEEK_SET))                                                                                     \
  CALL(fseeko64(stdin, 0, SEEK_SET))                                                                                   \
  CALL(ftell(stdin))                                                                                                   \
  CALL(ftello(stdin))                                                                                                  \
  CALL(ftello64(stdin))                                                                                                \
  CALL((rewind(stdin), 0))                                                                                             \
  CALL(getline(&line, &room, stdin))                                                                                   \
  CALL(getdelim(&line, &room, '.', stdin))                                                                             \
  CALL(__getdelim(&line, &room, '.', stdin))                                                                           \
  CALL(setvbuf(stdin, NULL, _IONBF, 0))                                                                                \
  CALL((setbuf(stdin, NULL), 0))                                                                                       \
  CALL((setbuffer(stdin, NULL, 0), 0))                                                                                 \
  CALL((setlinebuf(stdin), 0))                                                                                         \
  CALL(fgetpos(stdin, &(fpos_t){0}))                                                                                   \
  CALL(fgetpos64(stdin, &(fpos64_t){0}))                                                                               \
  CALL(fsetpos(stdin, &(fpos_t){0}))                                                                                   \
  CALL(fsetpos64(stdin, &(fpos64_t){0}))                                                                               \
  CALL(ungetc('c', stdin))                                                                                             \
  CALL(feof(stdin))                                                                                                    \
  CALL(ferror(stdin))                                                                                                  \
  CALL((clearerr(stdin), 0))                                                                                           \
  CALL(fileno(stdin))                                                                                                  \
  CALL(fgetws(wide, 2, stdin))                                                                                         \
  CALL(__fgetws_chk(wide, 2, 2, stdin))                                                                                \
  CALL(fputws(L"", stderr))                                                                                            \
  CALL(fgetwc(stdin))                                                                                                  \
  CALL(getwc(stdin))                                                                                                   \
  CALL(fputwc(L'c', stdin))                                                                                            \
  CALL(putwc(L'c', stdin))                                                                                             \
  CALL(ungetwc(L'c', stdin))                                                                                           \
  CALL(fwide(stdin, 0))                                                                                                \
  CALL(fwprintf(stderr, L""))                                                                                          \
  CALL(__fwprintf_chk(stderr, 1, L""))                                                                                 \
  CALL(fwscanf(stdin, L"%*c"))                                                                                         \
  CALL(readdir(open_folder()))                                                                                         \
  CALL(readdir64(open_folder()))                                                                                       \
  CALL(readdir_r(open_folder(), malloc(sizeof(struct dirent)), &(struct dirent *){0}))                                 \
  CALL(readdir64_r(open_folder(), malloc(sizeof(struct dirent64)), &(struct dirent64 *){0}))                           \
  CALL((rewinddir(open_folder()), 0))                                                                                  \
  CALL(telldir(open_folder()))                                                                                         \
  CALL((seekdir(open_folder(), 0), 0))                                                                                 \
  CALL(closedir(open_folder()))                                                                                        \
  CALL(sigqueue(getpid(), 1000, (union sigval){0}))                                                                    \
  CALL(pthread_sigqueue(pthread_self(), 0, (union sigval){0}))                                                         \
  CALL(run_thread())                                                                                                   \
  CALL(sigaction(SIGUSR1, NULL, (struct sigaction *)bytes))                                                            \
  CALL(signal(SIGUSR1, SIG_IGN))                                                                                       \
  CALL(sigprocmask(SIG_BLOCK, NULL, NULL))                                                                             \
  CALL(pthread_sigmask(SIG_BLOCK, NULL, NULL))                                                                         \
  CALL(sigaltstack(NULL, (stack_t *)bytes))                                                                            \
  CALL(dlopen(NULL, RTLD_NOW))                                                                                         \
  CALL(dlclose(dlopen(NULL, RTLD_NOW)))                                                                                \
  CALL(dup(-1))                                                                                                        \
  CALL(dup2(-1, 0))                                                                                                    \
  CALL(dup3(-1, 0, 0))                                                                                                 \
  CALL(close(-1))                                                                                                      \
  CALL(close_range(2, 1, 0))                                                                                           \
  CALL((closefrom(9), 0))                                                                                              \
  CALL(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))                                                                             \
  CALL(syscall(SYS_read, -1, bytes, 1))                                                                                \
  CALL(mprotect(NULL, 0, PROT_NONE))                                                                                   \
  CALL(pkey_mprotect(NULL, 0, PROT_NONE, -1))                                                                          \
  CALL(madvise(NULL, 0, MADV_DONTFORK))                                                                                \
  CALL(mlockall(0))                                                                                                    \
  CALL(execv("", (char *[]){"", NULL}))                                                                                \
  CALL(execveat(AT_FDCWD, "", (char *[]){"", NULL}, (char *[]){NULL}, 0))                                              \
  CALL(system(NULL))                                                                                                   \
  CALL(free(malloc(1)))

#define CALL(...) #__VA_ARGS__,
static const char *const calls[] = {CALLS};
#undef CALL

#define TOTAL (sizeof calls / sizeof calls[0])

#define CALL(...)                                                                                                      \
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
  for (size_t i = 0; i < TOTAL; i++) {
    bool const exited = ended[i] == CLD_EXITED;
    printf("%s: %s%s\n", calls[i], exited ? "" : "died of ",
           exited ? strerrorname_np(status[i]) : strsignal(status[i]));
  }
  return 0;
}
