#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
links.py [ROOT]: in each page (*.md) of the repository every link leads to a file of the repository
and to a heading that is there; none is an absolute path; and every file below docs/ can be
reached from docs/README.md by links, or is of a kind whose folder can. Where links lead out of
the repository is only listed, with --external. Ends with "N failed".
"""
import pathlib
import re
import subprocess
import sys

# Files below docs/ that need no link of their own: a folder of them is linked, or CMake makes something of them.
BY_FOLDER = ("docs/schema", "docs/man")
NO_PAGES = ("docs/CMakeLists.txt", "docs/Doxyfile.in", "docs/reference/")
START = "docs/README.md"


def without_code(text):
    """The same lines with what is code emptied: there are no links in it."""
    lines, fenced = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
            line = ""
        lines.append("" if fenced else re.sub(r"`[^`]*`", lambda found: " " * len(found[0]), line))
    return lines


def anchors(path):
    """The names of a page's headings, as GitHub makes them."""
    found, fenced = [], False
    for line in path.read_text().splitlines():
        fenced ^= line.startswith("```")
        heading = None if fenced else re.match(r"#+ +(.*?) *$", line)
        if heading:
            name = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1]).lower().replace("`", "")
            name = re.sub(r"[^\w\- ]", "", name).replace(" ", "-")
            same = sum(re.sub(r"-\d+$", "", other) == name for other in found)
            found.append(f"{name}-{same}" if same else name)
    return found


def links_of(path):
    """(line, target) of each link and picture of a page. A link's text may go over lines."""
    text = "\n".join(without_code(path.read_text()))
    for found in re.finditer(r"\]\(([^()\s]*)\)", text):
        yield text.count("\n", 0, found.start()) + 1, found[1]
    for found in re.finditer(r"^ *\[[^]]+\]: +(\S+)", text, re.M):
        yield text.count("\n", 0, found.start()) + 1, found[1]
    for found in re.finditer(r"<(https?://[^>\s]+)>", text):
        yield text.count("\n", 0, found.start()) + 1, found[1]


class Book:
    def __init__(self, root):
        self.root, self.wrong, self.external, self.leads_to = root, [], [], {}
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                cwd=root, check=True, capture_output=True, text=True).stdout
        self.files = {name for name in listed.split("\0") if name and (root / name).is_file()}
        self.folders = {str(parent) for name in self.files for parent in pathlib.Path(name).parents}

    def check_link(self, page, line, target):
        where = f"{page}:{line}"
        if re.match(r"[a-z]+:", target):
            self.external.append((where, target))
            return
        if target.startswith("/"):
            self.wrong.append(f"{where}: {target} is an absolute path")
            return
        name, _, anchor = target.partition("#")
        full = self.root / pathlib.Path(page).parent / name if name else self.root / page
        try:
            goal = str(full.resolve().relative_to(self.root))
        except ValueError:
            self.wrong.append(f"{where}: {target} is outside of the repository")
            return
        if goal not in self.files and goal not in self.folders:
            self.wrong.append(f"{where}: there is no {goal}")
            return
        self.leads_to.setdefault(page, set()).add(goal)
        if anchor and (not goal.endswith(".md") or anchor not in anchors(self.root / goal)):
            self.wrong.append(f"{where}: {goal} has no heading #{anchor}")

    def check_reach(self):
        reached, ahead = set(), [START]
        while ahead:
            page = ahead.pop()
            if page not in reached:
                reached.add(page)
                ahead += self.leads_to.get(page, ())
        for name in sorted(self.files):
            folder = next((folder for folder in BY_FOLDER if name.startswith(folder + "/")), None)
            if name.startswith("docs/") and name not in reached and not name.startswith(NO_PAGES) and not (
                    folder and folder in reached):
                self.wrong.append(f"{name}:1: no link leads here from {START}")

    def check(self):
        if START not in self.leads_to.get("README.md", ()):
            self.wrong.append(f"README.md:1: it has no link to {START}")
        self.check_reach()


def main():
    args = [arg for arg in sys.argv[1:] if arg != "--external"]
    book = Book(pathlib.Path(args[0]).resolve() if args else pathlib.Path(__file__).resolve().parents[2])
    pages = sorted(name for name in book.files if name.endswith(".md"))
    n_links = 0
    for page in pages:
        for line, target in links_of(book.root / page):
            n_links += 1
            book.check_link(page, line, target)
    book.check()
    if "--external" in sys.argv:
        for where, target in book.external:
            print(f"leads out: {where}: {target}")
    for wrong in book.wrong:
        print(f"not ok  {wrong}")
    print(f"{len(pages)} pages, {n_links} links, {len(book.external)} of them lead out; "
          f"{len(book.wrong)} failed")
    sys.exit(len(book.wrong) > 0)


if __name__ == "__main__":
    main()
