#!/usr/bin/env bash
# Runs a test of a page's script by node: page_test.sh TEST ARGUMENT...
set -euo pipefail

if ! command -v node > /dev/null || ! node -e 'require("node:test")' 2> /dev/null; then
  echo "page_test: no node of version 18 or later here, left out: apt-get install nodejs"
  exit 0
fi
exec node "$@"
