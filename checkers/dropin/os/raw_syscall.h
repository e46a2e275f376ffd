/* A system call by an instruction of our own: no function of the C library's and none of ours is in between. */
#ifndef RINGFENCE_DROPIN_RAW_SYSCALL_H
#define RINGFENCE_DROPIN_RAW_SYSCALL_H

#include <errno.h>
#include <sys/syscall.h>

/* The number of mmap, and the unit of its offset in bytes. */
#if defined(SYS_mmap2)
#define RF_MMAP_CALL SYS_mmap2
#define RF_MMAP_OFFSET_UNIT 4096
#else
#define RF_MMAP_CALL SYS_mmap
#define RF_MMAP_OFFSET_UNIT 1
#endif

/* The result, or an error's number below 0. */
static inline long rf_raw_syscall(long number, const long argument[6]) {
#if defined(__x86_64__)
  long result = number;
  register long fourth __asm__("r10") = argument[3];
  register long fifth __asm__("r8") = argument[4];
  register long sixth __asm__("r9") = argument[5];
  __asm__ volatile("syscall"
                   : "+a"(result)
                   : "D"(argument[0]), "S"(argument[1]), "d"(argument[2]), "r"(fourth), "r"(fifth), "r"(sixth)
                   : "rcx", "r11", "memory");
#elif defined(__i386__)
  long const all[7] = {number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]};
  long result = (long)all;
  __asm__ volatile("pushl %%ebx\n\tpushl %%ebp\n\t"
                   "movl 4(%%eax), %%ebx\n\tmovl 8(%%eax), %%ecx\n\tmovl 12(%%eax), %%edx\n\t"
                   "movl 16(%%eax), %%esi\n\tmovl 20(%%eax), %%edi\n\tmovl 24(%%eax), %%ebp\n\t"
                   "movl (%%eax), %%eax\n\tint $0x80\n\tpopl %%ebp\n\tpopl %%ebx"
                   : "+a"(result)
                   :
                   : "ecx", "edx", "esi", "edi", "memory");
#else
  register long at __asm__("x8") = number;
  register long result __asm__("x0") = argument[0];
  register long second __asm__("x1") = argument[1];
  register long third __asm__("x2") = argument[2];
  register long fourth __asm__("x3") = argument[3];
  register long fifth __asm__("x4") = argument[4];
  register long sixth __asm__("x5") = argument[5];
  __asm__ volatile("svc 0"
                   : "+r"(result)
                   : "r"(at), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth)
                   : "memory");
#endif
  return result;
}

#define RF_SYSCALL_LARGEST_ERROR 4095

/* The result, or -1, and errno is set. */
static inline long rf_syscall_errno(long number, const long argument[6]) {
  long const result = rf_raw_syscall(number, argument);
  if ((unsigned long)result < (unsigned long)-RF_SYSCALL_LARGEST_ERROR) {
    return result;
  }
  errno = (int)-result;
  return -1;
}

#endif /* RINGFENCE_DROPIN_RAW_SYSCALL_H */
