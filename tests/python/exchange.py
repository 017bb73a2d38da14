#!/usr/bin/env python3
"""What the readers of other programs see in exports: facts as JSON, for the tests to hold against the report.

    exchange.py torch FILE             a PyTorch memory snapshot, by Python's own pickle
    exchange.py viz FILE STATS TRACE   whether what PyTorch's _memory_viz.py printed of a snapshot is what is in it
    exchange.py csv FILE               the table, by Python's csv
    exchange.py chrome FILE            the Trace Event Format, by Python's json
    exchange.py vma FILE               a dump of the Vulkan Memory Allocator, by Python's json
    exchange.py sql < QUERIES.json     DuckDB's answers: a list of queries to a list of lists of rows

Whatever breaks a rule of a format ends the program with 1 and says which.
"""

import collections
import csv
import io
import json
import pickle
import pickletools
import sys
from decimal import Decimal
from pathlib import Path

# The opcodes that pytorch.org/memory_viz has read from its first version on.
OPCODES = {
    "PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINGET", "LONG_BINGET", "EMPTY_DICT", "SETITEMS", "EMPTY_LIST",
    "APPENDS", "BININT", "BININT1", "BININT2", "LONG1", "SHORT_BINUNICODE", "BINUNICODE", "TUPLE2", "NEWTRUE",
    "NEWFALSE",
}  # fmt: skip
SEGMENT = {
    "device": int, "address": int, "total_size": int, "allocated_size": int, "active_size": int,
    "requested_size": int, "stream": int, "segment_type": str, "segment_pool_id": tuple, "is_expandable": bool,
    "frames": list, "blocks": list,
}  # fmt: skip
BLOCK = {"address": int, "size": int, "requested_size": int, "state": str, "frames": list}
EVENT = {"action": str, "addr": int, "size": int, "stream": int, "time_us": int, "category": str, "frames": list}
STATES = {"active_allocated", "active_awaiting_free", "inactive"}


def sound(condition, what):
    if not condition:
        sys.exit(f"exchange.py: {what}")


class Plain(pickle.Unpickler):
    """Builds nothing but plain data."""

    def find_class(self, module, name):
        sys.exit(f"exchange.py: the pickle asks for {module}.{name}")


def snapshot(path):
    """The data of a snapshot that every viewer of snapshots reads."""
    data = Path(path).read_bytes()
    found = list(pickletools.genops(data))
    sound(found[0][0].name == "PROTO" and found[0][1] <= 4, f"protocol {found[0][1]}")
    foreign = {opcode.name for opcode, _, _ in found} - OPCODES
    sound(not foreign, f"opcodes that not all viewers read: {foreign}")
    # One pickle, and nothing behind it; the tools' own check of stack and memo.
    sound(found[-1][2] + 1 == len(data), "bytes behind the pickle")
    pickletools.dis(data, out=io.StringIO())
    return Plain(io.BytesIO(data)).load()


def has(what, value, keys):
    for key, kind in keys.items():
        sound(type(value.get(key)) is kind, f"{what} has {key} {value.get(key)!r}")


def frames_are_sound(frames):
    for frame in frames:
        sound(isinstance(frame["filename"], str) and isinstance(frame["name"], str), f"a frame {frame!r}")
        sound(isinstance(frame["line"], int), f"a frame {frame!r}")


def torch(path):
    data = snapshot(path)
    segments, [events] = data["segments"], data["device_traces"]
    held = {}
    for segment in segments:
        has("a segment", segment, SEGMENT)
        at = segment["address"]
        for block in segment["blocks"]:
            has("a block", block, BLOCK)
            frames_are_sound(block["frames"])
            sound(block["address"] == at, f"a gap before the block at {block['address']:#x}")
            sound(block["state"] in STATES, f"a block is {block['state']}")
            sound(0 <= block["requested_size"] <= block["size"], f"a block of {block['size']} bytes")
            at += block["size"]
            if block["state"] != "inactive":
                held[block["address"]] = block["requested_size"]
        sound(at == segment["address"] + segment["total_size"], "blocks do not fill their segment")
        live = [block for block in segment["blocks"] if block["state"] != "inactive"]
        sums = [sum(block[key] for block in live) for key in ("size", "size", "requested_size")]
        told = [segment[key] for key in ("allocated_size", "active_size", "requested_size")]
        sound(sums == told, f"a segment says {told}, its blocks {sums}")
    return {**followed(events, segments, held), "events": len(events)}


def followed(events, segments, held):
    """Follows the events as the caching allocator's do: what was reserved and allocated, and when the most."""
    pieces, live, latest = {}, {}, 0
    now, most, count = collections.Counter(), collections.Counter(), collections.Counter()
    peak = total = 0

    def segment_of(addr, size):
        for start, end in pieces.values():
            if start <= addr and addr + size <= end:
                return start
        return sys.exit(f"exchange.py: {size} bytes at {addr:#x} are in no segment")

    for event in events:
        has("an event", {"category": "", **event}, EVENT)
        frames_are_sound(event["frames"])
        action, addr, size, time = (event[key] for key in ("action", "addr", "size", "time_us"))
        sound(0 <= addr and addr + size < 1 << 53, "addresses that 64-bit floats do not hold")
        count[action] += 1
        if action == "segment_alloc":
            sound(addr not in pieces, f"a second segment at {addr:#x}")
            pieces[addr] = (addr, addr + size)
        elif action == "segment_map":
            [start] = [start for start, end in pieces.values() if end == addr]
            pieces[start] = (start, addr + size)
        elif action == "segment_free":
            sound(pieces.pop(addr) == (addr, addr + size), "part of a segment is freed")
        elif action == "alloc":
            inside = segment_of(addr, size)
            sound(not any(a < addr + size and addr < a + s for a, s in live.items()), f"an overlap at {addr:#x}")
            live[addr] = size
            now[inside] += size
            total += size
            most[inside], peak = max(most[inside], now[inside]), max(peak, total)
        elif action == "free_requested":
            sound(live.get(addr) == size, f"{size} bytes at {addr:#x} were not allocated")
        elif action == "free_completed":
            sound(live.pop(addr, None) == size, f"{size} bytes at {addr:#x} were not allocated")
            now[segment_of(addr, size)] -= size
            total -= size
        else:
            sys.exit(f"exchange.py: an event {action}")
        latest = max(latest, time)
    sound(live == held, "the segments hold something else than the events left")
    ends = {start: end - start for start, end in pieces.values()}
    sound(ends == {segment["address"]: segment["total_size"] for segment in segments}, "segments and events differ")
    return {
        "actions": count,
        "reserved": sum(ends.values()),
        "live": total,
        "peak": peak,
        # In the order of their addresses, which is the order in which they came to be known.
        "segments": [{"size": ends[at], "most": most[at], "live": now[at]} for at in sorted(ends)],
        "time_us": latest,
    }


def viz(path, stats, trace):
    """Holds the lines of PyTorch's own tool against the events: names of its own, sizes with one decimal."""
    data, seen = snapshot(path), torch(path)
    [events] = data["device_traces"]
    lines = Path(trace).read_text().splitlines()
    sound(lines[:2] == ["Device 0 ----------------", f"{len(events)} entries"], f"it begins with {lines[:2]}")
    sound(len(lines) == len(events) + 3 and lines[-1].startswith("TOTAL MEM: "), f"{len(lines)} lines")
    begun = {"segment_alloc": " = cudaMalloc(", "alloc": "[", "free_requested": "del ", "segment_free": "cudaFree("}
    for event, line in zip(events, lines[2:]):
        head = begun.get(event["action"], "# free completed for ")
        sound(head in line and human(event["size"]) in line, f"{line!r} of {event['action']} {event['size']}")
    told = dict(line.split(": ", 1) for line in Path(stats).read_text().splitlines() if ": " in line)
    sound(told["segments"] == str(len(data["segments"])), f"{told['segments']} segments")
    sound(told["total_reserved"] == human(seen["reserved"]), told["total_reserved"])
    sound(told["total_allocated"] == human(seen["live"]), told["total_allocated"])
    return {"events": len(events)}


def human(size):
    """Bytes as PyTorch's tool writes them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:3.1f}{unit}"
        size /= 1024


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    sound(all(None not in row and None not in row.values() for row in rows), "a row has too many or too few cells")
    return [{name: cell for name, cell in row.items() if cell} for row in rows]


def chrome(path):
    """Slices by track, the largest value of each counter, all times in exact nanoseconds."""
    page = json.loads(Path(path).read_text(encoding="utf-8"), parse_float=Decimal)
    names, most, last = {}, {}, {}
    tracks = collections.defaultdict(lambda: {"slices": 0, "ns": 0, "latest": 0})
    for event in page["traceEvents"]:
        sound(event["ph"] in "MXiC" and isinstance(event["name"], str), f"an event {event}")
        if event["ph"] == "M" and event["name"] == "thread_name":
            names[event["tid"]] = event["args"]["name"]
        if event["ph"] == "X":
            track = tracks[names[event["tid"]]]
            length, start = int(event["dur"] * 1000), int(event["ts"] * 1000)
            track["slices"] += 1
            track["ns"] += length
            track["latest"] = max(track["latest"], start + length)
        if event["ph"] == "C":
            [value] = event["args"].values()
            most[event["name"]] = max(most.get(event["name"], 0), value)
            last[event["name"]] = value
    return {"tracks": tracks, "most": most, "last": last, "unit": page["displayTimeUnit"]}


def vma(path):
    """The sums that a dump states, found again from its parts; blocks by the name of their pool."""
    dump = json.loads(Path(path).read_text(encoding="utf-8"))
    sound(set(dump) == {"General", "Total", "MemoryInfo", "DefaultPools", "CustomPools"}, f"{set(dump)}")
    sound(dump["General"]["API"] == "Vulkan", "another API")
    all_held, all_free, block_bytes, blocks = [], [], [], {}
    for pools in dump["CustomPools"].values():
        for pool in pools:
            for block in pool["Blocks"].values():
                parts = block["Suballocations"]
                ends = [part["Offset"] + part["Size"] for part in parts]
                sound([part["Offset"] for part in parts] == [0, *ends[:-1]][: len(parts)], "parts have gaps")
                sound((ends or [0])[-1] == block["TotalBytes"], "parts do not fill their block")
                free = [part["Size"] for part in parts if part["Type"] == "FREE"]
                held = [part["Size"] for part in parts if part["Type"] != "FREE"]
                stated = [block[key] for key in ("UnusedBytes", "UnusedRanges", "Allocations")]
                sound(stated == [sum(free), len(free), len(held)], f"a block says {stated}")
                sound(all(part["Usage"] & 0x20 for part in parts if part["Type"] == "BUFFER"), "no storage buffer")
                blocks[pool["Name"].split(" - ", 1)[1]] = {"size": block["TotalBytes"], "live": sum(held)}
                all_held += held
                all_free += free
                block_bytes.append(block["TotalBytes"])
    for pool in dump["DefaultPools"].values():
        dedicated = [block["Size"] for block in pool["DedicatedAllocations"]]
        all_held += dedicated
        block_bytes += dedicated
    total = {"BlockCount": len(block_bytes), "BlockBytes": sum(block_bytes), "AllocationCount": len(all_held)}
    total |= {"AllocationBytes": sum(all_held), "UnusedRangeCount": len(all_free)}
    for what, sizes in (("AllocationSize", all_held), ("UnusedRangeSize", all_free)):
        if len(sizes) > 1:
            total |= {f"{what}Min": min(sizes), f"{what}Max": max(sizes)}
    sound(dump["Total"] == total, f"in all {dump['Total']}, found {total}")
    return {"blocks": blocks, "total": total, "heaps": dump["MemoryInfo"]}


def sql():
    import duckdb

    connection = duckdb.connect()
    answers = []
    for query in json.load(sys.stdin):
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description]
        answers.append([dict(zip(names, row)) for row in cursor.fetchall()])
    return answers


def main():
    command, *files = sys.argv[1:]
    commands = {"torch": torch, "viz": viz, "csv": table, "chrome": chrome, "vma": vma, "sql": sql}
    json.dump(commands[command](*files), sys.stdout, default=str)


if __name__ == "__main__":
    main()
