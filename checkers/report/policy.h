/* A policy of `ringfence serve`: options for the checked processes of one user, by program, build and environment
 * (docs/service/steering.md). One form, two carriers: the file DIR/policy, replaced by rename, which a process copies
 * when it begins; and a segment of System V shared memory, written in place, which a running process looks at.
 *
 * A segment, not a mapping of the file: a file that somebody cuts short, or a disk that fails, ends whoever reads the
 * mapping by SIGBUS, and a file that was replaced is not seen through a mapping of the old one. A segment can neither
 * shrink nor fail, needs no descriptor, costs a load to look at, and outlives the collector.
 *
 * Both hold an rf_policy in the byte order of the machine. Internal to checkers/ and tools/. Hosted systems only.
 */
#ifndef RINGFENCE_POLICY_H
#define RINGFENCE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_POLICY_MAGIC "RFPOLICY"
#define RF_POLICY_VERSION 1U
#define RF_POLICY_RULES 32U
#define RF_POLICY_SITES 256U
#define RF_POLICY_FILE "policy"

typedef enum rf_policy_kind {
  RF_POLICY_OPTIONS = 1, /* `options` are to hold */
  RF_POLICY_SWEEP,       /* once, now: check all blocks */
  RF_POLICY_SNAPSHOT     /* once, now: write a snapshot */
} rf_policy_kind;

/* Texts end with a NUL; an empty selector is any. */
typedef struct rf_policy_rule {
  uint32_t number;      /* of the rule; later ones have larger numbers, and their options count */
  uint32_t kind;        /* rf_policy_kind */
  char program[128];    /* an absolute path, or the last part of one; * stands for any characters */
  char build[64];       /* a version, or the beginning of a commit or build-id, seven characters at least */
  char environment[48]; /* its name */
  char options[200];    /* key=value:key=value */
} rf_policy_rule;

/* A call site near a finding that is open. */
typedef struct rf_policy_site {
  uint64_t build;   /* rf_policy_build_key of the program */
  uint32_t key;     /* rf_policy_site_key of the allocation's stack */
  uint32_t finding; /* its number */
} rf_policy_site;

typedef struct rf_policy {
  char magic[8];
  uint32_t version;
  uint32_t size;       /* of an rf_policy */
  uint32_t generation; /* of the segment: odd while it is being written; accessed atomically */
  uint32_t crc;        /* CRC-32 of all that follows */
  uint64_t nonce;      /* the same in the file and in its segment */
  int32_t live;        /* id of the segment; -1: none */
  uint32_t newest;     /* number of the newest rule that ever was: what is newer came after */
  uint32_t rule_count;
  uint32_t site_count;
  rf_policy_rule rules[RF_POLICY_RULES]; /* those behind rule_count are zero */
  rf_policy_site sites[RF_POLICY_SITES]; /* and those behind site_count */
} rf_policy;

#ifdef __cplusplus
static_assert(sizeof(rf_policy) == 18480, "the same in 32-bit and 64-bit programs");
#else
_Static_assert(sizeof(rf_policy) == 18480, "the same in 32-bit and 64-bit programs");
#endif

/* The process that asks. Texts that are not known are empty. */
typedef struct rf_policy_who {
  char program[512];
  char build_id[72];
  char version[64];
  char commit[64];
  char environment[48];
} rf_policy_who;

#define RF_POLICY_PATTERN 256U

/* True where `pattern`, `length` bytes of which * stands for any characters, fits all of `text`. One longer than
 * RF_POLICY_PATTERN fits nothing. Any thread, and signal handlers. */
bool rf_policy_fits(const char *pattern, size_t length, const char *text);

/* True where all selectors of the rule fit. */
bool rf_policy_matches(const rf_policy_rule *rule, const rf_policy_who *who);

/* The first eight bytes of a build-id in hexadecimal; 0 where it has fewer. */
uint64_t rf_policy_build_key(const char *build_id);

/* A path to malloc, known by where in their pages its innermost RF_POLICY_SITE_DEPTH calls return to, which is the same
 * in every run of a build, wherever its modules lie. Never 0. */
#define RF_POLICY_SITE_DEPTH 4U
uint32_t rf_policy_site_key(const uintptr_t *frames, unsigned depth);

/* A source of a policy. `read` gets `size` bytes at offset `at` of it; false if they are not there. */
typedef struct rf_policy_source {
  bool (*read)(void *context, size_t at, void *out, size_t size);
  void *context;
} rf_policy_source;

/* Takes the rules and sites that are for `who`, in order. Both are called before it is known that the policy is whole:
 * what they note counts only where rf_policy_read returns true. */
typedef struct rf_policy_taker {
  void (*rule)(void *context, const rf_policy_rule *rule);
  void (*site)(void *context, const rf_policy_site *site);
  void *context;
} rf_policy_taker;

/* Nonce, segment and newest rule of a policy. */
typedef struct rf_policy_head {
  uint64_t nonce;
  int32_t live;
  uint32_t newest;
} rf_policy_head;

/* Reads its head, rules and sites, and takes the rest for zero. False where it is none, of another version, damaged, or
 * being written. Needs 1 KiB of stack and allocates nothing; any thread, and signal handlers. */
bool rf_policy_read(const rf_policy_source *source, const rf_policy_who *who, const rf_policy_taker *taker,
                    rf_policy_head *head);

/* The same of the file in a collector's folder (`length` bytes at `folder`; "auto": the first of the user's own places
 * that has one). Only a file of this user's in a folder of this user's is believed, neither of which others may write;
 * none by programs that run with another user's rights. Opens, reads and closes. errno stays. */
bool rf_policy_read_file(const char *folder, size_t length, const rf_policy_who *who, const rf_policy_taker *taker,
                         rf_policy_head *head);

/* The segment that `head` names, mapped read-only for as long as the process lives; NULL where there is none that is
 * this user's and belongs to the file. errno stays. */
const rf_policy *rf_policy_attach(const rf_policy_head *head);

/* As rf_policy_read, of a segment; *generation is set to the one that was read. False also where it is being written:
 * ask again later. */
bool rf_policy_read_live(const rf_policy *live, const rf_policy_who *who, const rf_policy_taker *taker,
                         rf_policy_head *head, uint32_t *generation);

/* The CRC of a policy, for its writer. Takes what lies behind the counts for zero. */
uint32_t rf_policy_crc(const rf_policy *policy);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_POLICY_H */
