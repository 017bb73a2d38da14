#!/usr/bin/env python3
"""Runs PyTorch's own _memory_viz.py on memory snapshots, without PyTorch.

    memory_viz.py CACHE SNAPSHOT.pickle… [--write | --show]

Writes what its commands `stats` and `trace` print beside each snapshot, as SNAPSHOT.stats and SNAPSHOT.trace (--write),
prints it (--show), or compares it with what lies there (exit code 1 where it differs). What explains the picture of
`stats`, which is the same for all snapshots, is left out.

CACHE is a folder for the tool. It comes from the smallest wheel of PyTorch, that for Windows (110 MiB, by pip), of which
one file is kept.
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VERSION = "2.9.0"
MEMBER = "torch/cuda/_memory_viz.py"
WHEEL = ["--platform", "win_amd64", "--python-version", "3.12", "--implementation", "cp", "--abi", "cp312"]


def tool(cache):
    """The tool, brought once."""
    path = cache / f"_memory_viz-{VERSION}.py"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", *WHEEL]
            subprocess.run([*pip, "--dest", folder, f"torch=={VERSION}"], check=True)
            [wheel] = Path(folder).glob("*.whl")
            path.write_bytes(zipfile.ZipFile(wheel).read(MEMBER))
    return path


def printed(script, command, snapshot):
    ended = subprocess.run([sys.executable, script, command, snapshot], capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        sys.exit(f"{snapshot}: _memory_viz.py {command} failed:\n{ended.stderr}")
    return ended.stdout.split("\nLegend:\n")[0].rstrip("\n") + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cache", type=Path)
    parser.add_argument("snapshots", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--show", action="store_true")
    arguments = parser.parse_args()
    script, differs = tool(arguments.cache), False
    for snapshot in arguments.snapshots:
        for command in ("stats", "trace"):
            found, path = printed(script, command, snapshot), snapshot.with_suffix(f".{command}")
            if arguments.show:
                print(f"{snapshot} {command}\n{found}")
            elif arguments.write:
                path.write_text(found, encoding="utf-8")
            elif not path.exists() or path.read_text(encoding="utf-8") != found:
                print(f"{path} is not what _memory_viz.py {command} of PyTorch {VERSION} prints now", file=sys.stderr)
                differs = True
    return differs


if __name__ == "__main__":
    sys.exit(main())
