#!/usr/bin/env python3
"""Adds up what bench/cuda_trace.cpp has written: how much of the time the GPU works, how long it waits between kernels, and which kernels
take its time.

    bench/cuda_trace.py TRACE… [--last 0.4] [--kernels 45]

--last: the share of the records, from the end, that are counted: a program begins with what is not measured.
"""

import argparse
import collections
import pathlib
import struct

GAPS = [("< 2 us", 2e3), ("< 10 us", 1e4), ("< 100 us", 1e5), ("< 1 ms", 1e6), ("longer", float("inf"))]


def read(path):
    names = dict(line.split("\t", 1) for line in pathlib.Path(f"{path}.names").read_text().splitlines())
    return sorted(struct.iter_unpack("<QII", pathlib.Path(path).read_bytes())), {int(key): name for key, name in names.items()}


def show(path, options):
    records, names = read(path)
    records = records[round(len(records) * (1 - options.last)):]
    if not records:
        raise SystemExit(f"{path}: no records")
    begin = end = records[0][0]
    busy, gaps = 0, collections.Counter()
    times, counts = collections.Counter(), collections.Counter()
    for start, length, name in records:
        if start > end:
            gaps[next(label for label, limit in GAPS if start - end < limit)] += start - end
        busy += max(0, start + length - max(start, end))
        end = max(end, start + length)
        times[name] += length
        counts[name] += 1
    print(f"{path}: {(end - begin) / 1e6:.1f} ms, the GPU works {100 * busy / (end - begin):.1f} % of it; {len(records)} kernels, copies and fills;"
          f" waits: {', '.join(f'{label} {gaps[label] / 1e6:.1f} ms' for label, _ in GAPS if gaps[label])}")
    for name, time in times.most_common(options.kernels):
        print(f"{100 * time / sum(times.values()):6.2f} % {time / 1e6:9.2f} ms {counts[name]:6d} x {time / counts[name] / 1e3:8.1f} us  {names[name][:150]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("traces", nargs="+", metavar="TRACE")
    parser.add_argument("--last", type=float, default=0.4)
    parser.add_argument("--kernels", type=int, default=45)
    options = parser.parse_args()
    for path in options.traces:
        show(path, options)


if __name__ == "__main__":
    main()
