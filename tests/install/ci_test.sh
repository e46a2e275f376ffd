#!/usr/bin/env bash
# The steps of the action for GitHub and of the template for GitLab that run the check find a bug, fail, and pass with a
# baseline; the problem matcher for Visual Studio Code reads the report. YAML needs python3-yaml, else that is left out.
#
#   ci_test.sh RINGFENCE action.yml gitlab-template.yml tasks.json
set -uo pipefail

ringfence=$PWD/$1
action=$PWD/$2
template=$PWD/$3
tasks=$PWD/$4
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/ci.XXXXXX") || exit 2
trap 'rm -rf -- "$work"' EXIT
unset RINGFENCE_LIB RINGFENCE_OPTIONS TEST_UNDECLARED_OUTPUTS_DIR

faults=0
complain() {
  echo "ci_test: $*" >&2
  faults=$((faults + 1))
}

cp docs/examples/off_by_one.c "$work"
cd -- "$work" || exit 2
gcc -g -O0 -o off_by_one off_by_one.c || complain "off_by_one.c does not compile"
"$ringfence" check --write-baseline known.txt -- ./off_by_one >/dev/null 2>&1
mkdir bin && ln -s "$ringfence" bin/ringfence
export RINGFENCE_LIB=${ringfence%tools/ringfence/ringfence}checkers/dropin/libringfence.so

# ---- The problem matcher ----

"$ringfence" check -- ./off_by_one >/dev/null 2>report
python3 - "$tasks" report <<'END' || complain "the problem matcher does not read: $(<report)"
import json, re, sys
pattern = json.load(open(sys.argv[1]))["tasks"][0]["problemMatcher"]["pattern"]
found = [match for match in (re.match(pattern["regexp"], line) for line in open(sys.argv[2])) if match]
assert len(found) == 1, found
kind, file, line, message = (found[0][pattern[part]] for part in ("code", "file", "line", "message"))
assert (kind, file, line, message) == ("heap-buffer-overflow", "off_by_one.c", "6", "copy"), found[0].groups()
END

# ---- Steps ----

python3 -c 'import yaml' 2>/dev/null || {
  echo "no python3-yaml here: the steps are left out"
  exit "$((faults != 0))"
}

python3 - "$action" "$template" <<'END' || complain "the files are not as the test expects"
import sys, yaml
steps = yaml.safe_load(open(sys.argv[1]))["runs"]["steps"]
open("github.sh", "w").write([step["run"] for step in steps if step.get("name") == "Check"][0])
job = yaml.safe_load(open(sys.argv[2]))[".ringfence"]
open("gitlab_before.sh", "w").write("\n".join(job["before_script"]))
open("gitlab.sh", "w").write("\n".join(job["script"]).replace("/tmp/ringfence-$CI_JOB_ID/bin/", ""))
open("gitlab_after.sh", "w").write("\n".join(job["after_script"]))
END

# name, expected status, script
try() {
  local status=0
  rm -f ./*.sarif ./*.xml
  PATH=$work/bin:$PATH bash -e "$3" >log 2>&1 || status=$?
  ((status == $2)) || complain "$1: status $status, not $2: $(<log)"
}

export RUN='./off_by_one; true' OPTIONS='--continue --no-leaks' BASELINE='' MODE=guard SARIF=out.sarif
try github 99 github.sh
grep -q '^::error file=off_by_one.c,line=6,title=Ringfence%3A heap-buffer-overflow::' log || complain "github: $(<log)"
grep -q heap-buffer-overflow out.sarif || complain "github: no SARIF"
BASELINE=known.txt
try 'github with a baseline' 0 github.sh

RUN=$'false\ntrue'
try 'github with a first line that fails' 1 github.sh
RUN='false | true'
try 'github with a pipe that fails' 1 github.sh
RUN=''
try 'github with nothing to run' 2 github.sh

# A bare image: what the steps need is installed, the sources are fetched and built, and then what is to be checked.
mkdir bare
for tool in apt-get git cmake make c++ addr2line nproc; do
  printf '#!/bin/sh\necho "%s $*"\n' $tool >bare/$tool
done
# As git does, which takes no folder that has files.
cat >>bare/git <<'END'
for folder; do :; done
/bin/mkdir "$folder" || exit 128
END
chmod +x bare/*
ln -s /bin/mkdir bare/mkdir
mkdir tmp
sed -i "s|/tmp/ringfence|$work/tmp/ringfence|g" gitlab_before.sh gitlab_after.sh
export CI_JOB_ID=0
# name, expected status
before() {
  local status=0
  CI_JOB_ID=$((CI_JOB_ID + 1))
  PATH=$work/bare /bin/bash -e gitlab_before.sh >log 2>&1 || status=$?
  ((status == $2)) || complain "$1: status $status, not $2: $(<log)"
}
export RINGFENCE_REF=v1 RINGFENCE_SOURCE=https://example.org/r.git RINGFENCE_BUILD='echo own build' RINGFENCE_RUN=''
before 'gitlab with nothing to run' 2
grep -q 'set RINGFENCE_RUN to the command line to check' log || complain "gitlab with nothing to run: $(<log)"
RINGFENCE_RUN=./off_by_one
ln -s /bin/sh bare/sh
before 'gitlab with all tools' 0
grep -q apt-get log && complain "gitlab with all tools: $(<log)"
rm bare/cmake
cat >bare/apt-get <<'END'
#!/bin/sh
echo "apt-get $*"
printf '#!/bin/sh\necho "cmake $*"\n' >bare/cmake
/bin/chmod +x bare/cmake
END
before 'gitlab without CMake' 0
[[ $(cut -d' ' -f1 log | tr '\n' ' ') == 'apt-get apt-get git cmake cmake cmake own ' ]] ||
  complain "gitlab without CMake: $(<log)"
# Jobs of a runner that is a shell share its /tmp, and run at the same time.
bash -e gitlab_after.sh
[[ $(ls tmp) == ringfence-2 ]] || complain "gitlab: a job's end leaves, beside the other job's: $(ls tmp)"

export RINGFENCE_RUN=./off_by_one RINGFENCE_CHECK_OPTIONS=--continue RINGFENCE_BASELINE='' RINGFENCE_MODE=guard
try gitlab 99 gitlab.sh
grep -q '<failure message="1 byte written' ringfence.xml || complain "gitlab: no JUnit"
RINGFENCE_BASELINE=known.txt
try 'gitlab with a baseline' 0 gitlab.sh
RINGFENCE_RUN=$'false\ntrue'
try 'gitlab with a first line that fails' 1 gitlab.sh

((faults == 0)) || exit 1
