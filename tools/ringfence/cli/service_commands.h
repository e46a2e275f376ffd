/* The commands of the checking service, in the order of the lists: ringfence-serve has them, and `ringfence`, which
 * does not depend on it, executes it. */
#ifndef RINGFENCE_TOOLS_CLI_SERVICE_COMMANDS_H
#define RINGFENCE_TOOLS_CLI_SERVICE_COMMANDS_H

/* X(NAME, SUMMARY) */
#define RF_SERVICE_COMMANDS(X)                                                                                         \
  X(serve, "collect findings of all processes and show them on a page")                                                \
  X(findings, "list findings of the service")                                                                          \
  X(show, "show one finding")                                                                                          \
  X(fix, "mark a finding as fixed in a commit or build")                                                               \
  X(ignore, "mark a finding as one to be left, with the reason")                                                       \
  X(reopen, "make a finding open again")                                                                               \
  X(merge, "make two findings one")                                                                                    \
  X(split, "split a finding in several, or take it out of the one it was merged into")                                 \
  X(why, "say why two findings are one, or are not")                                                                   \
  X(processes, "list processes, and what their memory is used for")                                                    \
  X(builds, "list builds, or tell of their order")                                                                     \
  X(gate, "fail where a finding is open, or new in a build: for CI")                                                   \
  X(watch, "print what happens to findings as it happens")                                                             \
  X(status, "show what the store holds and what was lost")                                                             \
  X(symbols, "upload symbols, list those that are missing")                                                            \
  X(forward, "send findings on to a collector elsewhere")                                                              \
  X(export, "write findings in the forms of other tools, or send them")                                                \
  X(steer, "rules for checked processes, and what they did")                                                           \
  X(coverage, "what was checked: programs, modules, call sites")

#endif
