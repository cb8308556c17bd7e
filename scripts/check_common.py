"""What the check-* scripts share: the files of the tree, C without comments and strings, the report,
and the self-test, which plants one violation per rule in a small tree and wants to see it found."""
import os
import re
import sys
import tempfile

SKIP_DIRS = {".git", "build", "run", "__pycache__", ".pytest_cache"}
SKIP_TREES = ("tests/data/", "tests/fuzz/corpus/")  # bytes, not text of ours


def files(root, suffixes=None):
    """Paths below root, relative, sorted."""
    found = []
    for folder, dirs, names in os.walk(root):
        dirs[:] = [d for d in dirs if d not in SKIP_DIRS]
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if not path.startswith(SKIP_TREES) and (suffixes is None or path.endswith(suffixes)):
                found.append(path)
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="surrogateescape", newline="") as f:
        return f.read()


BLANK = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_only(text):
    """Comments and literals blanked, line numbers kept."""
    def blank(match):
        s = match.group(0)
        edge = s[0] if s[0] in "\"'" else " "
        return edge + re.sub(r"[^\n]", " ", s[1:-1]) + edge
    return BLANK.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def plant(tree):
    """A temporary tree from {path: text}."""
    tmp = tempfile.TemporaryDirectory()
    for path, text in tree.items():
        full = os.path.join(tmp.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8", newline="") as f:
            f.write(text)
    return tmp


def self_test(check, clean, cases):
    """clean must give nothing; each (name, tree, wanted piece of the message) must give that."""
    bad = 0
    for name, tree, want in [("a clean tree", clean, None)] + cases:
        with plant(tree) as root:
            found = check(root)
        good = not found if want is None else any(want in f for f in found)
        if not good:
            bad += 1
            print(f"self-test: {name}: wanted {want!r}, got {found}")
    print(f"self-test: {len(cases) + 1 - bad} rules hold, {bad} do not")
    return 1 if bad else 0


def main(check, clean, cases):
    if "--self-test" in sys.argv[1:]:
        return self_test(check, clean, cases)
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    found = check(os.path.normpath(root))
    for line in found:
        print(line)
    return 1 if found else 0
