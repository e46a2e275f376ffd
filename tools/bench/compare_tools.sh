#!/usr/bin/env bash
# The tools that find the bugs of docs/examples/kinds.cc, and the cost of one without a bug under each: Ringfence in
# modes guard and page, AddressSanitizer of gcc, Valgrind's memcheck, GWP-ASan in LLVM's Scudo with every allocation
# sampled.
# Prints two tables for docs/tools-compared.md; with --update writes them into it.
#
#   ./bazelw run //tools/bench:compare_tools [-- --update]
#
# A tool that is not installed has no column.
set -euo pipefail
. tools/bench/page.sh

kinds_cc=$PWD/docs/examples/kinds.cc
ringfence=$PWD/tools/ringfence/ringfence
page=${BUILD_WORKSPACE_DIRECTORY:-$PWD}/docs/tools-compared.md
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd -- "$work"
unset RINGFENCE_OPTIONS

# -O0 keeps the bugs in, -O2 is for times.
build() { g++ -g "$@" -w "$kinds_cc"; }
build -O0 -o kinds
build -O2 -o work
columns=(guard page)
if build -O0 -fsanitize=address -o kinds.asan 2>/dev/null; then
  build -O2 -fsanitize=address -o work.asan
  columns+=(asan)
fi
command -v valgrind >/dev/null && columns+=(valgrind)
scudo=$(compgen -G '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-x86_64.so' | tail -n 1 || true)
[[ -z $scudo ]] || columns+=(gwp_asan)

declare -A title=([guard]='Ringfence, guard' [page]='Ringfence, page' [asan]='AddressSanitizer' [valgrind]='Valgrind'
  [gwp_asan]='GWP-ASan, all sampled')

# column, program (kinds or work), argument: the command line, in ${line[@]}
line=()
command_line() {
  case $1 in
    plain) line=("./$2" "$3") ;;
    guard) line=("$ringfence" check -- "./$2" "$3") ;;
    # Blocks at the right end of their pages, where reads past the end show; elsewhere they take turns.
    page) line=("$ringfence" check --mode page --option align=right -- "./$2" "$3") ;;
    asan) line=("./$2.asan" "$3") ;;
    valgrind) line=(valgrind --leak-check=full --error-exitcode=99 "./$2" "$3") ;;
    gwp_asan)
      line=(env "LD_PRELOAD=$scudo" GWP_ASAN_SampleRate=1
        SCUDO_OPTIONS=GWP_ASAN_Enabled=1:GWP_ASAN_SampleRate=1:GWP_ASAN_MaxSimultaneousAllocations=1000 "./$2" "$3")
      ;;
  esac
}

# column, kind: a cell
found() {
  local text
  command_line "$1" kinds "$2"
  text=$("${line[@]}" 2>&1 </dev/null || true)
  case $text in
    *'ERROR: Ringfence: '*', found '*) echo later ;;
    *'ERROR: Ringfence: memory-leak'* | *'LeakSanitizer: detected'* | *'definitely lost: 100 '*) echo 'at the end' ;;
    *'ERROR: Ringfence: '* | *'ERROR: AddressSanitizer'* | *'GWP-ASan detected'*) echo at once ;;
    *'Scudo ERROR'*) echo at once ;;
    *'Invalid '* | *'Mismatched '* | *'Conditional jump'* | *'Argument '* | *'Process terminating'*) echo at once ;;
    *) echo - ;;
  esac
}

row() { printf '| %s' "$1" && printf ' | %s' "${@:2}" && printf ' |\n'; }

table_of_kinds() {
  local cells kind column
  cells=()
  for column in "${columns[@]}"; do cells+=("${title[$column]}"); done
  row bug "${cells[@]}"
  row --- "${columns[@]/*/---}"
  for kind in $(./kinds --list); do
    cells=()
    for column in "${columns[@]}"; do cells+=("$(found "$column" "$kind")"); done
    row "$kind" "${cells[@]}"
  done
}

# column: the least processor time in ms of five runs, and the peak memory in MiB
measure() {
  local time memory least=999999 round
  command_line "$1" work work
  for round in 1 2 3 4 5; do
    ASAN_OPTIONS=detect_leaks=0 python3 - "${line[@]}" >measured <<'END'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(int((used.ru_utime + used.ru_stime) * 1000), used.ru_maxrss // 1024)
END
    read -r time memory <measured
    ((time >= least)) || least=$time
  done
  echo "$least $memory"
}

table_of_costs() {
  local plain_time plain_memory time memory column
  read -r plain_time plain_memory < <(measure plain)
  row under 'processor time' memory
  row --- --- ---
  row 'nothing' "$plain_time ms" "$plain_memory MiB"
  for column in "${columns[@]}"; do
    read -r time memory < <(measure "$column")
    local tenths=$((time * 10 / plain_time))
    row "${title[$column]}" "$time ms, $((tenths / 10)).$((tenths % 10)) ×" "$memory MiB"
  done
}

tables() {
  echo
  table_of_kinds
  echo
  echo "\`kinds work\`: 200,000 insertions of strings in a map, a third of them taken out again; least of five runs."
  echo
  table_of_costs
}

if [[ ${1-} == --update ]]; then
  tables >tables
  put_into "$page" tables tables
else
  tables
fi
