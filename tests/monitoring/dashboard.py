# SPDX-License-Identifier: MIT
"""
dashboard.py DASHBOARD URL METRICS RULES: the dashboard is one that Grafana can load, each of its queries
is answered with something by that Prometheus, and every metric that it or the rules name is in METRICS,
what hakmemctl metrics has printed.
"""
import json
import re
import sys
import urllib.parse
import urllib.request

dashboard = json.load(open(sys.argv[1]))
url = sys.argv[2]
printed = set(re.findall(r"^hakmem_\w+", open(sys.argv[3]).read(), re.M))
named = re.compile(r"\bhakmem_[a-z0-9_]+")
wrong = 0


def fail(*what):
    global wrong
    wrong += 1
    print(*what)


def look_at_names(text, where):
    for name in sorted(set(named.findall(text)) - printed):
        fail(where, "names", name, "which hakmemctl metrics doesn't")


def ask(expression):
    for variable, value in (("$__rate_interval", "30s"), ("$__interval", "30s"),
                            ("$instance", ".*"), ("$pool", ".*")):
        expression = expression.replace(variable, value)
    query = urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen("%s/api/v1/query?%s" % (url, query)) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        fail(expression, error.read().decode())
        return [None]


def overlaps(a, b):
    return (a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and
            b["y"] < a["y"] + a["h"])


panels = dashboard["panels"]
variables = {v["name"] for v in dashboard["templating"]["list"]}
if len({p["id"] for p in panels}) != len(panels):
    fail("panels have the same id")
for i, panel in enumerate(panels):
    place = panel["gridPos"]
    if place["x"] + place["w"] > 24:
        fail(panel["title"], "is wider than the page")
    for other in panels[:i]:
        if overlaps(place, other["gridPos"]):
            fail(panel["title"], "lies on", other["title"])
    if panel["type"] != "row" and not panel["targets"]:
        fail(panel["title"], "shows nothing")

n = 0
expressions = [(p["title"], t["expr"]) for p in panels for t in p.get("targets", [])]
expressions += [(a["name"], a["expr"]) for a in dashboard["annotations"]["list"]]
for title, expression in expressions:
    look_at_names(expression, title)
    for variable in re.findall(r"\$(\w+)", expression):
        if variable not in variables | {"__rate_interval", "__interval"}:
            fail(title, "wants a variable", variable)
    n += 1
    # What there is to annotate may be nothing.
    if not ask(expression) and not any(a["expr"] == expression
                                       for a in dashboard["annotations"]["list"]):
        fail(title, "has nothing to show:", expression)
for variable in dashboard["templating"]["list"]:
    look_at_names(variable.get("definition", ""), "$" + variable["name"])
for line in open(sys.argv[4]):
    if "expr:" in line or "hakmem_" in line:
        look_at_names(line, "an alert")
print(n, "queries,", wrong, "wrong")
sys.exit(wrong > 0)
