#!/usr/bin/env bash
# Makes the pictures of docs/service/walkthrough.md anew: goes the way of that page, and looks at the collector's page
# in Chromium where a picture stands.
#
#   ./bazelw run //tests/service:pictures
set -euo pipefail

# With arguments it is blocks.sh that calls: the folder of the sessions, and the file of the picture.
if (($# == 0)); then
  RF_PICTURE=$(realpath -- "$0") exec docs/blocks.sh update docs/service/walkthrough.md
fi

root=$1
picture=$2
declare -A pages=([finding]=/finding/1 [findings]=/)
declare -A heights=([finding]=1500 [findings]=760)
name=${picture##*/}
name=${name%.png}
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
  echo "pictures: Chromium is needed (package chromium)" >&2
  exit 1
}

cd -- "$root"
bin/ringfence-serve serve --dir findings --listen 127.0.0.1:0 2>bin/log &
trap 'kill %1; wait' EXIT
url=
for ((i = 0; i < 100; i++)); do
  url=$(grep -o -m 1 'http://127.0.0.1:[0-9]*' bin/log) && break
  sleep 0.1
done
options=(--headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --disable-background-networking
  --disable-sync --user-data-dir="$root/bin/browser" --window-size="1400,${heights[$name]}")
"$chromium" "${options[@]}" --screenshot="$picture" "$url${pages[$name]}" 2>/dev/null
[[ -s $picture ]]
