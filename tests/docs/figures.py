#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
figures.py [--write] [ROOT]: the table of docs/performance.md is what the newest whole comparison in
bench/results says; --write makes it so, after bench/compare.sh --save. A comparison is whole if
it has most benches of bench/compare.sh; of two of one day the page says which.
"""
import json
import pathlib
import re
import sys

BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
WHOLE = 15  # benches


def comparisons(root):
    """{name: what it says} of those that are whole."""
    found = {}
    for path in sorted((root / "bench/results").glob("*.json")):
        said = json.loads(path.read_text())
        if len({row["bench"] for row in said.get("rows", ())}) >= WHOLE:
            found[path.stem] = said
    return found


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(name, said):
    """A line a bench: ours, and the best of the others."""
    lines = [f"{said['machine']['cpu']}, {said['machine']['cores']} cores, Linux {said['machine']['kernel']}; "
             f"commit {said['commit']}; [all rows, with ranges](../bench/results/{name}.md).", "",
             "| bench | unit | private | shared | best peer | | ratio |", "|---|---|---|---|---|---|---|"]
    for bench in dict.fromkeys(row["bench"] for row in said["rows"]):
        rows = [row for row in said["rows"] if row["bench"] == bench]
        ours = {row["subject"]: row for row in rows if row["kind"] == "ours"}
        peers = [row for row in rows if row["kind"] == "peer"]
        if not peers:
            continue
        higher = rows[0]["better"] == "higher"
        best = (max if higher else min)(peers, key=lambda row: row["value"])
        shared = ours.get("shared") or ours.get("shared-2p")
        private = ours.get("malloc")
        ratios = " / ".join(f"{row['ratio']:.2f}" if row["ratio"] < 10 else f"{row['ratio']:.0f}"
                            for row in (private, shared) if row)
        lines.append(f"| `{bench}` | {rows[0]['unit']}, {'more' if higher else 'less'} is better | "
                     f"{number(private['value']) if private else ''} | {number(shared['value'])} | "
                     f"{number(best['value'])} | {best['subject']} | {ratios} |")
    return "\n".join(lines) + "\n"


def main():
    args = [arg for arg in sys.argv[1:] if arg != "--write"]
    root = pathlib.Path(args[0]) if args else pathlib.Path(__file__).resolve().parents[2]
    page = root / "docs/performance.md"
    text = page.read_text()
    whole = comparisons(root)
    newest = max(said["date"] for said in whole.values())
    names = [name for name, said in whole.items() if said["date"] == newest]
    named = [name for name in names if f"bench/results/{name}.md" in text]
    if BEGIN not in text or END not in text:
        sys.exit("docs/performance.md:1: it has no place for the figures")
    if "--write" in sys.argv:
        name = named[0] if named else names[-1]
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        page.write_text(before + BEGIN + "\n" + table(name, whole[name]) + "\n" + END + after)
    elif not named:
        sys.exit(f"docs/performance.md:1: its figures aren't of {newest}: figures.py --write")
    elif table(named[0], whole[named[0]]) not in text:
        sys.exit(f"docs/performance.md:1: its figures aren't those of {named[0]}: figures.py --write")
    else:
        n_rows = len(re.findall(r"^\| `", text.split(BEGIN)[1].split(END)[0], re.M))
        print(f"ok      docs/performance.md: {n_rows} rows of {named[0]}")


if __name__ == "__main__":
    main()
