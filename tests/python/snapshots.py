#!/usr/bin/env python3
"""Memory snapshots as PyTorch writes them, and files that only look like some.

    snapshots.py write FOLDER     snapshots; prints, of each, its path and what is true of it, worked out event by event
    snapshots.py hostile FOLDER   files that must be refused; prints, of each, its path and words that the refusal has

The shape is that of the page of torch.cuda.memory._snapshot: a caching allocator over segments of several streams and
devices, expandable segments that are mapped piece by piece, frames that events share, frees that are asked for first.
"""

import collections
import json
import pickle
import random
import sys
from pathlib import Path

BASE = 0x7F0000000000
START_US = 1_700_000_000_000_000
KNOWN = {"alloc", "free_completed", "segment_alloc", "segment_free", "segment_map", "segment_unmap", "oom"}


def frame(name, line, filename="/home/me/train.py"):
    return {"name": name, "filename": filename, "line": line}


STACKS = [
    [frame("linear", 2, "/usr/lib/python3/site-packages/torch/nn/functional.py"), frame("forward", line)]
    for line in (10, 20, 30)
] + [[frame("at::native::empty", 0, "??")], []]


class Allocator:
    """One device: what is held, and the events so far."""

    def __init__(self, seed, base):
        self.random = random.Random(seed)
        self.next, self.time = base, START_US + seed
        self.segments = {}  # address: [size, stream]
        self.blocks = {}  # address: (rounded size, asked size, frames, category)
        self.events = []

    def event(self, action, addr, size, stream, frames=(), **more):
        self.time += self.random.randrange(1, 50)
        more = {"category": "unknown", **more}
        event = {"action": action, "addr": addr, "size": size, "stream": stream, "time_us": self.time}
        self.events.append({**event, "frames": list(frames) if frames == () else frames, **more})

    def gap(self, size, stream):
        """The lowest free place of a stream's segments."""
        for start, (length, of) in sorted(self.segments.items()):
            at = start
            for addr in sorted(addr for addr in self.blocks if start <= addr < start + length) + [start + length]:
                if of == stream and addr - at >= size:
                    return at
                at = max(at, addr + self.blocks.get(addr, (0,))[0])
        return None

    def alloc(self, asked, stream):
        size = -(-asked // 512) * 512
        frames = self.random.choice(STACKS)
        at = self.gap(size, stream)
        if at is None:
            length = max(2 << 20, -(-size // (2 << 20)) * (2 << 20))
            at, self.next = self.next, self.next + length + self.random.choice([0, 1 << 21, 1 << 30])
            self.segments[at] = [length, stream]
            self.event("segment_alloc", at, length, stream, frames)
        category = self.random.choice(["parameter", "input", "activation", "temporary", "unknown"])
        self.event("alloc", at, asked, stream, frames, category=category)
        self.blocks[at] = (size, asked, frames, stream)

    def free(self, addr):
        _, asked, frames, stream = self.blocks.pop(addr)
        self.event("free_requested", addr, asked, stream, frames)
        self.event("free_completed", addr, asked, stream, frames)

    def empty_cache(self):
        for start, (length, stream) in list(self.segments.items()):
            if not any(start <= addr < start + length for addr in self.blocks):
                del self.segments[start]
                self.event("segment_free", start, length, stream)

    def steps(self, count):
        for _ in range(count):
            chance = self.random.random()
            if chance < 0.55 or not self.blocks:
                self.alloc(self.random.choice([4, 700, 65_536, 1 << 20, 3_000_001]), self.random.randrange(3))
            elif chance < 0.97:
                self.free(self.random.choice(sorted(self.blocks)))
            else:
                self.empty_cache()

    def held(self, number):
        """The segments as a snapshot lists them."""
        found = []
        for start, (length, stream) in sorted(self.segments.items()):
            at, blocks = start, []
            for addr in sorted(addr for addr in self.blocks if start <= addr < start + length):
                size, asked, frames, _ = self.blocks[addr]
                if addr > at:
                    blocks.append(block(at, addr - at, 0, "inactive", []))
                blocks.append(block(addr, size, asked, "active_allocated", frames))
                at = addr + size
            if at < start + length:
                blocks.append(block(at, start + length - at, 0, "inactive", []))
            found.append(segment(number, start, length, stream, blocks))
        return found


def block(address, size, asked, state, frames):
    return {"address": address, "size": size, "requested_size": asked, "state": state, "frames": frames}


def segment(device, address, size, stream, blocks, expandable=False):
    live = [block for block in blocks if block["state"] != "inactive"]
    return {
        "device": device, "address": address, "total_size": size, "stream": stream,
        "allocated_size": sum(block["size"] for block in live), "active_size": sum(block["size"] for block in live),
        "requested_size": sum(block["requested_size"] for block in live),
        "segment_type": "large" if size > 1 << 20 else "small", "segment_pool_id": (0, 0),
        "is_expandable": expandable, "frames": [], "blocks": blocks,
    }  # fmt: skip


def whole(allocators, **more):
    segments = [segment for number, of in allocators.items() for segment in of.held(number)]
    count = max(allocators) + 1
    traces = [allocators[at].events if at in allocators else [] for at in range(count)]
    settings = {"expandable_segments": False, "garbage_collection_threshold": 0.0, "roundup_power2_divisions": {}}
    annotations = [{"stage": "START", "name": "step", "device": 0, "time_us": START_US}]
    return {
        "segments": segments, "device_traces": traces, "allocator_settings": settings,
        "external_annotations": annotations, **more,
    }  # fmt: skip


def truth(snapshot):
    """Follows the events backwards to what was held before the first one, then forwards."""
    devices = {}
    numbers = {segment["device"] for segment in snapshot["segments"]}
    numbers |= {at for at, events in enumerate(snapshot["device_traces"]) if events}
    oom = 0
    for number in sorted(numbers):
        events = snapshot["device_traces"][number] if number < len(snapshot["device_traces"]) else []
        live, reserved = {}, collections.Counter()
        for held in (segment for segment in snapshot["segments"] if segment["device"] == number):
            reserved[held["address"]] = held["total_size"]
            blocks = [block for block in held["blocks"] if block["state"] != "inactive"]
            live |= {block["address"]: block["requested_size"] for block in blocks}
        end = dict(live)
        bytes_reserved = at_end = sum(reserved.values())
        for event in reversed(events):
            addr, size, action = event.get("addr"), event["size"], event["action"]
            if action == "alloc":
                live.pop(addr, None)
            elif action == "free_completed":
                live[addr] = size
            elif action in ("segment_alloc", "segment_map"):
                bytes_reserved -= size
            elif action in ("segment_free", "segment_unmap"):
                bytes_reserved += size
        # Whatever the first event ended is not drawn: the picture begins behind it.
        now, buffers, peak, most = dict(live), len(live), None, bytes_reserved
        sequence = [event for event in events if event["action"] in KNOWN]
        for at, event in enumerate(sequence):
            addr, size, action = event.get("addr"), event["size"], event["action"]
            if action == "alloc":
                now[addr] = size
                buffers += 1
            elif action == "free_completed":
                now.pop(addr)
                buffers -= at == 0
            elif action in ("segment_alloc", "segment_map"):
                bytes_reserved += size
            elif action in ("segment_free", "segment_unmap"):
                bytes_reserved -= size
            oom += action == "oom"
            peak, most = max(peak or 0, sum(now.values())), max(most, bytes_reserved)
        assert now == end and bytes_reserved == at_end, "the snapshot contradicts itself"
        devices[f"device {number}"] = {
            "peak": sum(end.values()) if peak is None else peak, "buffers": buffers, "ops": len(sequence),
            "live_at_end": sum(end.values()), "reserved_at_end": at_end, "reserved_most": most,
        }  # fmt: skip
    return {"devices": devices, "oom": oom}


def cut(allocator, kept):
    """As PyTorch's ring of events does, keeps the latest."""
    allocator.events = allocator.events[-kept:]
    return allocator


def expandable():
    """Ranges of addresses that are mapped and unmapped piece by piece, with allocations across pieces."""
    of, piece = Allocator(9, BASE), 2 << 20
    for at in range(4):
        of.event("segment_map", BASE + at * piece, piece, 0)
    of.event("segment_map", BASE + (1 << 40), piece, 7)
    of.event("alloc", BASE, 3 * piece, 0, STACKS[0])
    of.event("alloc", BASE + (1 << 40), 1000, 7, STACKS[1])
    of.event("free_requested", BASE, 3 * piece, 0, STACKS[0])
    of.event("free_completed", BASE, 3 * piece, 0, STACKS[0])
    of.event("segment_unmap", BASE + piece, 2 * piece, 0)
    of.event("alloc", BASE + 3 * piece, piece, 0, STACKS[2])
    held = [
        segment(0, BASE, piece, 0, [block(BASE, piece, 0, "inactive", [])], True),
        segment(0, BASE + 3 * piece, piece, 0,
                [block(BASE + 3 * piece, piece, piece, "active_allocated", STACKS[2])], True),
        segment(0, BASE + (1 << 40), piece, 7,
                [block(BASE + (1 << 40), 1024, 1000, "active_allocated", STACKS[1]),
                 block(BASE + (1 << 40) + 1024, piece - 1024, 0, "inactive", [])], True),
    ]  # fmt: skip
    return {"segments": held, "device_traces": [of.events]}


def out_of_memory():
    of = Allocator(5, BASE)
    of.steps(20)
    of.events.append({
        "action": "oom", "size": 1 << 40, "device_free": 1 << 20, "stream": 0, "time_us": of.time + 1,
        "frames": STACKS[0], "category": "unknown",
    })  # fmt: skip
    of.time += 1
    of.steps(5)
    of.event("snapshot", 0, 0, 0)
    return whole({0: of})


def one_device(seed, steps):
    of = Allocator(seed, BASE)
    of.steps(steps)
    return of


def write(folder):
    cases = {f"protocol-{protocol}": (whole({0: one_device(1, 300)}), protocol) for protocol in range(2, 6)}
    several = {number: Allocator(number, BASE + (number << 30)) for number in (0, 1, 3)}
    for of in several.values():
        of.steps(150)
    cases["devices"] = (whole(several), 4)
    cases["cut"] = (whole({0: cut(one_device(2, 800), 401)}), 4)
    cases["expandable"] = (expandable(), 4)
    cases["out-of-memory"] = (out_of_memory(), 4)
    cases["moment"] = ({**whole({0: one_device(3, 200)}), "device_traces": []}, 4)
    found = []
    for name, (snapshot, protocol) in cases.items():
        path = folder / f"{name}.pickle"
        path.write_bytes(pickle.dumps(snapshot, protocol))
        found.append({"path": str(path), "name": path.name, **truth(snapshot)})
    return found


class Calls:
    """Its pickle calls a function."""

    def __reduce__(self):
        return (print, ("this was run",))


def hostile(folder):
    ordinary = pickle.dumps(whole({0: one_device(4, 100)}), 4)
    head, many = b"\x80\x04", 100_000
    event = {"action": "alloc", "addr": BASE, "size": 512, "stream": 0, "time_us": 1, "frames": []}
    events = [event] * many
    place = segment(0, BASE, 2 << 20, 0, [block(BASE, 512, 512, "active_allocated", [])] * many)
    tuples = head + b"]" + b"\x85" * 3_000_000 + b"."
    files = {
        "calls": (pickle.dumps({"segments": [Calls()], "device_traces": []}, 4), "builds objects of classes"),
        "calls-2": (pickle.dumps(Calls(), 2), "builds objects of classes (GLOBAL)"),
        "instance": (b"\x80\x02(ios\nsystem\n.", "builds objects of classes (INST)"),
        "extension": (head + b"\x82\x01.", "builds objects of classes (EXT1)"),
        "persistent": (head + b"Nq\x00Q.", "builds objects of classes (BINPERSID)"),
        "long-text": (head + b"\x8d" + (1 << 62).to_bytes(8, "little") + b"abc", "cut short"),
        "long-bytes": (head + b"\x8e" + (1 << 62).to_bytes(8, "little") + b"abc", "cut short"),
        "long-number": (head + b"\x8b" + b"\xff\xff\xff\x7f" + b"\x01", "cut short"),
        "deep-lists": (head + b"](" * 2_000_000 + b".", "damaged"),
        "deep-tuples": (tuples, "segments[0] has no `address`"),
        "lists": (head + b"]" * (32 << 20) + b".", "far more memory than its length explains"),
        "one-event": (pickle.dumps({"device_traces": [events]}, 4), "again and again"),
        "one-trace": (pickle.dumps({"device_traces": [[event] * 10] * many}, 4), "again and again"),
        "one-segment": (pickle.dumps({"segments": [place] * 100}, 4), "again and again"),
        "keys": (pickle.dumps({str(at): at for at in range(many)}, 4), "more than 256 keys"),
        "integers": (pickle.dumps({"device_traces": [[{**event, "addr": 1 << 90}]]}, 4), "(alloc) has no `addr`"),
        "negative": (pickle.dumps({"device_traces": [[{**event, "size": -1}]]}, 4), "(alloc) has no `size`"),
        "past-the-end": (pickle.dumps({"device_traces": [[{**event, "size": 1 << 62, "addr": 1 << 62 | 1}]]}, 4),
                         "past the end of memory"),
        "archive": (b"PK\x03\x04" + bytes(100), "torch.save"),
        "nothing": (b"", "expected a header"),
        "text": (b"hello\n" * 1000, "line 1"),
        "zeros": (bytes(1 << 20), "neither a PyTorch memory snapshot"),
    }  # fmt: skip
    for at in range(1, 30):
        files[f"cut-{at}"] = (ordinary[: len(ordinary) * at // 30], "cut short")
    found = []
    for name, (data, says) in files.items():
        path = folder / f"{name}.pickle"
        path.write_bytes(data)
        found.append({"path": str(path), "says": says})
    return found


def main():
    command, folder = sys.argv[1:]
    json.dump({"write": write, "hostile": hostile}[command](Path(folder)), sys.stdout)


if __name__ == "__main__":
    main()
