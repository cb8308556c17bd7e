#!/usr/bin/python3
"""Counts what passed and failed over many programs, and remembers what failed by name.

POSTERN_TALLY names a file that gets one line `LABEL PASSED FAILED SKIPPED` for each part of a run; beside it lies
NAME.failed with one line of JSON for each failure, and NAME.skipped for each test that was skipped. Without POSTERN_TALLY nothing is kept.

    tally.py note LABEL PASSED FAILED   adds a line
    tally.py failed LABEL LOG           one failure, told by what LOG says
    tally.py summary                    what was skipped and what failed by name, the sums, and `N passed, N failed[, N skipped]`;
                                        status 0 only without failures
"""
import json
import os
import re
import sys

LINES = 40       # of the list of failures
TELLING = re.compile(r"\berror\b|ERROR|FAILED|FAIL\b|Sanitizer|\*\*\*|Assert")


def append(path, line):
    with open(path, "a", encoding="utf-8") as f:
        f.write(line + "\n")


def count(label, passed, failed, skipped=0):
    path = os.environ.get("POSTERN_TALLY")
    if path:
        append(path, f"{label} {passed} {failed} {skipped}")


def keep(kind, label, name, why):
    path = os.environ.get("POSTERN_TALLY")
    if path:
        lines = [line.strip()[:200] for line in why.splitlines() if line.strip()]
        append(path + kind, json.dumps([label, name, lines[:8]]))


def remember(label, name, why):
    """why: text; its first lines are kept."""
    keep(".failed", label, name, why)


def remember_skipped(label, name, why=""):
    keep(".skipped", label, name, why)


def telling(text, most=8):
    """The lines of a log that say what is wrong, or else its last ones."""
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if TELLING.search(line)), max(0, len(lines) - most))
    return "\n".join(lines[first:first + most])


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def show_failures(path):
    entries = [json.loads(line) for line in read(path + ".failed").splitlines()]
    if not entries:
        return
    print(f"\n=== failed: {len(entries)}")
    each = max(1, min(8, (LINES - 1) // len(entries)))
    shown = entries[:LINES - 1]
    for label, name, why in shown:
        lines = [f"  {label}: {name}" + (": " + why[0][:120] if each == 1 and why else "")]
        print("\n".join(lines + ["      " + line for line in why[:each - 1]]))
    if len(shown) < len(entries):
        print(f"  and {len(entries) - len(shown)} more")


def show_skipped(path):
    entries = [json.loads(line) for line in read(path + ".skipped").splitlines()]
    if entries:
        print(f"\n=== skipped: {len(entries)}")
    for label, name, why in entries[:LINES - 1]:
        print(f"  {label}: {name}" + (": " + why[0][:120] if why else ""))
    if len(entries) > LINES - 1:
        print(f"  and {len(entries) - LINES + 1} more")


def summary(path):
    sums = {}
    for line in read(path).splitlines():
        label, *numbers = line.split()
        old = sums.get(label, [0, 0, 0])
        sums[label] = [a + int(b) for a, b in zip(old, numbers + ["0"])]
    show_skipped(path)
    show_failures(path)
    print("\n=== summary")
    for label, (passed, failed, skipped) in sorted(sums.items()):
        print(f"  {label:24} {passed:6} passed {failed:4} failed" + (f" {skipped:4} skipped" if skipped else ""))
    passed, failed, skipped = (sum(s[i] for s in sums.values()) for i in (0, 1, 2))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if passed and not failed else 1


def main():
    verb, *rest = sys.argv[1:] or [""]
    if verb == "note":
        count(rest[0], *map(int, rest[1:]))
    elif verb == "failed":
        remember(rest[0], rest[0], telling(read(rest[1])))
    elif verb == "summary":
        return summary(os.environ["POSTERN_TALLY"])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
