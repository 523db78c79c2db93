# SPDX-License-Identifier: MIT
"""
compare.py BEFORE AFTER: each figure of hakmemctl stats --json, taken before and after a scrape, has
been scraped: on stdin is what Prometheus answers to a query for all of them. Says how many there are.
"""
import json
import sys


def figures(path):
    """By name and pool; the daemon's pool is None."""
    stats = json.load(open(path))
    found = {("hakmem_daemon_%s_total" % n, None): v for n, v in stats["daemon"].items()}
    for pool in stats["pools"]:
        for name, value in pool["clients"].items():
            found["hakmem_client_%s_total" % name, pool["name"]] = value
        for name, value in pool["gauges"].items():
            found["hakmem_pool_%s" % name, pool["name"]] = value
    return found


before, after = figures(sys.argv[1]), figures(sys.argv[2])
answer = json.load(sys.stdin)["data"]["result"]
scraped = {(s["metric"]["__name__"], s["metric"].get("pool")): float(s["value"][1]) for s in answer}
wrong = 0
for key, least in before.items():
    if key not in scraped:
        wrong += 1
        print(key, "is not there")
    elif not least <= scraped[key] <= after[key]:
        wrong += 1
        print(key, scraped[key], "is not", least, "to", after[key])
print(len(before), "figures,", wrong, "wrong")
sys.exit(wrong > 0)
