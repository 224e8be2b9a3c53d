"""A table in, a list out: CSV on stdin becomes JSON on stdout."""

import csv
import json
import sys


def rows(lines):
    """One dictionary per line below the header."""
    for row in csv.DictReader(lines, strict=True):
        if None in row or None in row.values():
            raise csv.Error("a line has more or fewer columns than the header")
        yield row


def main():
    sys.stdin.reconfigure(encoding="utf-8", newline="")
    sys.stdout.reconfigure(encoding="utf-8")
    try:
        table = list(rows(sys.stdin))
    except (csv.Error, UnicodeDecodeError) as error:
        # An exit status other than 0 makes it a 500, with what was printed in the answer.
        sys.exit(f"not a table: {error}")
    print(json.dumps(table, ensure_ascii=False))


main()
