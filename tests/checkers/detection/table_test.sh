#!/usr/bin/env bash
# docs/detection.md is what the command writes.
exec tests/checkers/detection/table_bin docs/detection.md
