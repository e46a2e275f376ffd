#!/bin/sh
# A command whose help has each form that manual.py knows, for manual_test.py.
[ "$2" = --help ] && set -- help "$1"
case "$1 $2" in
  "version "*) echo "ringfence 9.8.7 (x)" ;;
  "help ")
    cat <<'END'
Usage: ringfence COMMAND [OPTIONS]
       ringfence help COMMAND

Finds bugs.

Commands:
  check    run a program: it's checked
  report   show what was [found]
  gone     of the service
  help     help on a command
END
    ;;
  "help check")
    cat <<'END'
Usage: ringfence check [OPTIONS] -- PROGRAM [ARGUMENT...]

Runs PROGRAM, as `ringfence help` says.

.It begins with a dot.

Options:
  -m, --mode MODE       what checks: guard, page, mte, sample or off (it's one; of them);
                      the default is guard
      --log FILE          write there
  -o, --output DIR
      --leaks[=WHICH]     look for leaks: 1, all, reachable or 0
      --limit[=N]         at most N: more; are counted
      --title TEXT        a back\slash
  -q, --quiet             say less

Environment:
  RINGFENCE_LIB    the library

Exit status: 0, or
99 at a finding.

Examples:
  ringfence check -- ./a.out
  .b
END
    ;;
  "help report")
    cat <<'END'
Usage: ringfence report [all | new] FILE
       ringfence report [all | stored=x] --limit N

Options:
      --format FORMAT     text, json, sarif, junit, html, github or pprof
END
    ;;
  "help gone") [ -n "$RINGFENCE_SERVE" ] || printf 'Usage: ringfence gone\n\nOf the service.\n' ;;
  "help help") printf 'Usage: ringfence help COMMAND\n\nHelps.\n' ;;
esac
