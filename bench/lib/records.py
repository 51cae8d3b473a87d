"""The codec of record batches, see bench/records --help."""

import sys

import encryption
from harness import options, print_table, progress, report, run_json

SIZES = [(1024, 16 * 1024), (1024, 1024 * 1024), (100, 16 * 1024)]  # of a value and a batch
ROUNDS, ROUND_SECONDS = 21, 0.1
TARGETS = [("codec_gb_per_cpu_s", ">=", 1), ("codec_ratio_worst", "<=", 1.2), ("allocations_per_record", "<=", 0)]


def measure(quick):
    results = {}
    for value, batch in SIZES:
        progress(f"values of {value} bytes in batches of {batch // 1024} KiB")
        rounds = (3, 0.005) if quick else (ROUNDS, ROUND_SECONDS)
        results[value, batch] = run_json("bench-records", value, batch, *rounds, timeout=600)
    return results


def table(results):
    rows = []
    for (value, batch), codecs in results.items():
        for codec, found in codecs.items():
            rows.append([f"{value} B in {batch // 1024} KiB", codec, *(f"{found[name]:.2f}" for name in
                         ("read_gb", "change_gb", "bare_gb", "ratio")), f"{found['allocations']:.3f}"])
    print_table(rows, ["values in batches", "codec", "read GB/s", "change GB/s", "bare GB/s", "ratio", "allocations"])


def figures(results):
    large = [codecs for (value, _), codecs in results.items() if value == 1024]
    return {
        "codec_gb_per_cpu_s": min(codecs["none"]["change_gb"] for codecs in large),
        "codec_read_gb_per_cpu_s": min(codecs["none"]["read_gb"] for codecs in large),
        "codec_ratio_worst": max(found["ratio"] for codecs in large for name, found in codecs.items() if name != "none"),
        "allocations_per_record": max(found["allocations"] for codecs in large for name, found in codecs.items()
                                      if name != "snappy"),
    }


def main():
    given = options()
    results = measure(given.quick)
    print_encryption, encrypted = encryption.measure(given.quick)
    table(results)
    print_encryption()
    found = {**figures(results), **{name: round(value, 3) for name, value in encrypted.items()}}
    return report(found, TARGETS + encryption.TARGETS, given)


if __name__ == "__main__":
    sys.exit(main())
