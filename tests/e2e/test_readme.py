"""The configuration that README.md shows is one that the daemon takes: the first block as it stands, each later one on top of it."""
import os
import re
import subprocess

from kit import pki

README = os.path.join(os.path.dirname(__file__), "..", "..", "README.md")
KEY = re.compile(r"( *)(\w+): *(.*)$")


def blocks():
    with open(README, encoding="utf-8") as f:
        return re.findall(r"^```yaml\n(.*?)^```$", f.read(), re.MULTILINE | re.DOTALL)


def tree(lines, indent=0):
    """Keys that stand alone on their line lead to the keys below them; all else is text, kept as it is."""
    out, at = {}, 0
    while at < len(lines):
        key, end = KEY.match(lines[at]), at + 1
        while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent):
            end += 1
        below = [line for line in lines[at + 1:end] if line.strip()]
        if key and key[2]:
            is_map = below and not key[3].partition("#")[0].strip() and not below[0].lstrip().startswith("-")
            out[key[2]] = tree(below, indent + 2) if is_map else lines[at:end]
        at = end
    return out


def merge(under, over):
    for key, value in over.items():
        known = under.get(key)
        under[key] = merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return under


def text(of, indent=0):
    return "".join(" " * indent + f"{key}:\n" + text(value, indent + 2) if isinstance(value, dict)
                   else "\n".join(value) + "\n" for key, value in of.items())


def test_what_the_readme_configures_is_understood(postern_bin, tmp_path):
    authority = pki.Pki(tmp_path)
    leaf = authority.leaf("server", "DNS:sbc.example")
    for path, name in ((leaf["certificate"], "server.crt"), (leaf["key"], "server.key"), (authority.cert, "ca.pem")):
        os.link(path, tmp_path / name)
    for name in ("1001.pw", "1002.pw", "ported.csv"):
        (tmp_path / name).write_text("+4917,mobile\n" if name == "ported.csv" else "secret\n", encoding="utf-8")
        (tmp_path / name).chmod(0o600)
    base, *others = blocks()
    assert len(others) >= 4, "examples are missing"
    for one in ["", *others]:
        config = base if not one else text(merge(tree(base.splitlines()), tree(one.splitlines())))
        (tmp_path / "edge.yaml").write_text(config, encoding="utf-8")
        done = subprocess.run([postern_bin, "check", "--config", "edge.yaml"], cwd=tmp_path, capture_output=True, text=True,
                              env={**os.environ, "CARRIER_PASSWORD": "x"}, check=False)
        assert done.returncode == 0 and not done.stderr, f"{done.stderr}\n{config}"
