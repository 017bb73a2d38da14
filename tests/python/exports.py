#!/usr/bin/env python3
"""Interleaved processor time of one program on two exports of the same network.

    exports.py REFERENCES NETWORK/CASE… [--pairs N] [--max-difference X] [--json FILE] -- PROGRAM

REFERENCES is what references.py wrote; NETWORK is a model in it that is there as NETWORK_ts too, by the older exporter.
PROGRAM is started once for each export, as `PROGRAM MODEL.onnx CASE`, and speaks the protocol of latency.py. The two take
turns, each going first every other time; processor time is what all threads of a side ran for, from before the request
to after the answer.

Prints minima and medians and the ratio of the minima (older / newer exporter) as text, and a JSON list as its last line.
Exit code 1 when such a ratio is further from 1 than --max-difference (default 0.05).
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from latency import Child
from ncnn_latency import take_turns


def compare(name, arguments, program):
    """Measures one network on one case: the figures."""
    network, case = name.split("/", 1)
    sides = {}
    for export in (network, f"{network}_ts"):
        home = arguments.references / export
        sides[export] = Child([*program, str(home / "model.onnx"), str(home / case)], arguments.patience)
    taken = take_turns(sides, arguments)
    for child in sides.values():
        child.close()
    result = {"case": name, "pairs": arguments.pairs}
    for which, values in zip(("newer", "older"), taken.values()):
        for at, kind in enumerate(("wall", "cpu")):
            figures = [value[at] for value in values]
            result[f"{which}_{kind}_min_ms"] = round(min(figures) / 1e6, 3)
            result[f"{which}_{kind}_ms"] = round(statistics.median(figures) / 1e6, 3)
    result["cpu_min_ratio"] = round(result["older_cpu_min_ms"] / result["newer_cpu_min_ms"], 4)
    return result


def parse_arguments():
    own, program = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, program = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], usage="%(prog)s REFERENCES NETWORK/CASE… [options] -- PROGRAM [ARGUMENT…]"
    )
    parser.add_argument("references", type=Path)
    parser.add_argument("cases", nargs="+", metavar="NETWORK/CASE")
    parser.add_argument("--pairs", type=int, default=20, help="counted pairs (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=3, help="pairs before them (default: %(default)s)")
    parser.add_argument("--patience", type=float, default=300, help="seconds to wait for one answer")
    parser.add_argument("--max-difference", type=float, default=0.05, help="of the minima's ratio from 1")
    parser.add_argument("--json", type=Path, help="file for the JSON as well")
    arguments = parser.parse_args(own)
    if not program:
        parser.error("name the program to measure after --")
    if arguments.pairs < 1 or arguments.warm_up < 0:
        parser.error("--pairs must be at least 1 and --warm-up at least 0")
    for name in arguments.cases:
        network, _, case = name.partition("/")
        for export in (network, f"{network}_ts"):
            if not (arguments.references / export / case / "case.json").is_file():
                parser.error(f"{arguments.references} has no case {export}/{case}")
    return arguments, program


def main():
    arguments, program = parse_arguments()
    results = []
    for name in arguments.cases:
        r = compare(name, arguments, program)
        results.append(r)
        print(
            f"{name}: processor time newer {r['newer_cpu_min_ms']} ms (median {r['newer_cpu_ms']}), older "
            f"{r['older_cpu_min_ms']} ms (median {r['older_cpu_ms']}), ratio of minima {r['cpu_min_ratio']}; {r['pairs']} pairs",
            flush=True,
        )
    print(json.dumps(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results) + "\n")
    apart = [r["case"] for r in results if not abs(r["cpu_min_ratio"] - 1) <= arguments.max_difference]
    if apart:
        sys.exit(f"exports.py: the exports are more than {arguments.max_difference:.0%} apart: {', '.join(apart)}")


if __name__ == "__main__":
    main()
