#!/bin/sh
# A call's body comes on stdin, its answer goes to stdout. The name in `?unit=` is in the environment.
set -eu

wc | {
  read -r lines words bytes
  case "${Http_Query:-}" in
    "") echo "$lines lines, $words words, $bytes bytes" ;;
    unit=lines) echo "$lines" ;;
    unit=words) echo "$words" ;;
    unit=bytes) echo "$bytes" ;;
    *) echo "unit is lines, words or bytes" ; exit 1 ;;
  esac
}
