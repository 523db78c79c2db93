#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Runs what the documents tell the reader to do, as he would.

  blocks.py --build DIR PAGE...     with what that build installs, below a folder of its own
  blocks.py --installed PAGE...     with what is installed on this machine
PAGE is a path below this tree. What a fenced block of a page is:

  ```c, ```cpp   its first line is /* NAME */ or // NAME: that file, compiled with all warnings too.
                 Without: a part of the program that pages.py names
  ```sh          commands. All of a page are run in order by one bash -e in an empty folder, with a
                 daemon (HAKMEM_SOCKET), build/release being the build, and HOME a folder, too
  ```text        what the commands above it print, exactly
  ```console     the same, but a number stands for any other number that isn't 0, 0 for 0, blanks for
                 blanks. In both, a line ... stands for any lines, and ... in one for anything
  ```            a drawing, or a listing: not run

pages.py lists those that another stage runs. Anything else is an error. In the end nothing may be
wrong in the daemon's pool, and no process may be left.
"""
import argparse
import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pages

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE, OUTPUT, OTHER = ("c", "cpp"), ("text", "console"), ("cmake",)
WAIT = 120  # seconds for a page, and for what it starts to end
# What bash says of jobs that were killed; an interactive one says it otherwise.
JOBS = re.compile(r"^.*: line \d+: +\d+ (Killed|Terminated|Hangup).*\n", re.M)


class Wrong(Exception):
    """Something is wrong in a page; the text begins with page:line."""


class Block:
    def __init__(self, page, line, language):
        self.where, self.language, self.lines = f"{page}:{line}", language, []

    @property
    def text(self):
        return "".join(line + "\n" for line in self.lines)

    @property
    def first(self):
        return self.lines[0] if self.lines else ""

    def file_name(self):
        found = re.fullmatch(r"/\* ([\w.-]+) \*/|// ([\w.-]+)", self.first)
        return (found[1] or found[2]) if found and self.language in CODE else None


def read_blocks(page):
    """The fenced blocks of a page."""
    blocks, block = [], None
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        if block is not None and line == "```":
            blocks.append(block)
            block = None
        elif block is not None:
            block.lines.append(line)
        elif line.startswith("```"):
            block = Block(page, number, line[3:].strip())
    if block is not None:
        raise Wrong(f"{block.where}: the block has no end")
    return blocks


def drop_elsewhere(page, blocks):
    """Without the blocks that pages.py says are run by somebody else, who must be there."""
    rows = pages.ELSEWHERE.get(page, {})
    for first, (runner, word) in rows.items():
        if first not in [block.first for block in blocks]:
            raise Wrong(f"{page}:1: pages.py has a block that begins with: {first}")
        if word not in (ROOT / runner).read_text():
            raise Wrong(f"{page}:1: {runner}, which runs '{first}', has no '{word}'")
    return [block for block in blocks if block.first not in rows]


def fragment_program(page, fragments):
    """The page's program with the page's fragments in it, or None."""
    if page not in pages.FRAGMENTS:
        for block in fragments:
            raise Wrong(f"{block.where}: code without a name: /* NAME.c */, or a program in pages.py")
        return None
    program = (ROOT / pages.FRAGMENTS[page]).read_text()
    places = re.findall(r"^@fragment (\d+)@\n", program, re.M)
    if places != [str(number + 1) for number in range(len(fragments))]:
        raise Wrong(f"{page}:1: it has {len(fragments)} fragments, {pages.FRAGMENTS[page]} places {places}")
    for number, block in enumerate(fragments, 1):
        program = program.replace(f"@fragment {number}@\n", block.text)
    return program


class Plan:
    """What is to be done with a page."""

    def __init__(self, page):
        self.page, self.files, self.commands, self.expected = page, {}, [], {}
        fragments, before = [], None
        for block in drop_elsewhere(page, read_blocks(page)):
            if block.file_name():
                if block.file_name() in self.files:
                    raise Wrong(f"{block.where}: there is a {block.file_name()} already")
                self.files[block.file_name()] = block
            elif block.language in CODE:
                fragments.append(block)
            elif block.language == "sh":
                self.commands.append(block)
            elif block.language in OUTPUT:
                if before is None or before.language != "sh":
                    raise Wrong(f"{block.where}: output, and no commands right above it")
                self.expected[before.where] = block
            elif block.language:
                raise Wrong(f"{block.where}: what is a block of {block.language}?")
            before = block
        self.program = fragment_program(page, fragments)

    def script(self, out):
        """All commands; what a block prints is in the file of its number in `out`."""
        lines = []
        for number, block in enumerate(self.commands):
            lines += [f"exec >{out}/{number} 2>&1", *block.lines]
        return "\n".join(lines) + "\n"


def line_pattern(line, is_console):
    """A line of expected output as a regular expression."""
    parts = []
    pattern = r"(\.\.\.)|\d+:\d\d:\d\d|0x[0-9a-f]+|((?<![\w.])0(?![\w.]))|((?<![A-Za-z_])\d[\d.,]*)|(\s+)"
    last = 0
    for found in re.finditer(pattern if is_console else r"(\.\.\.)", line):
        parts.append(re.escape(line[last:found.start()]))
        last = found.end()
        if found[1]:
            parts.append(".*")
        elif found[0].startswith("0x"):
            parts.append("0x[0-9a-f]+")
        elif ":" in found[0]:
            parts.append(r"\d+:\d\d:\d\d")
        elif found[2]:
            parts.append("0")
        elif found[3]:
            parts.append(r"(?!0(?![\d.,]))\d[\d.,]*")
        else:
            parts.append(r"\s+")
    return "".join(parts) + re.escape(line[last:]) + (r"\s*" if is_console else "")


def matches(expected, said):
    """Is `said` what the block of output says?"""
    pattern = ""
    for line in expected.lines:
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += line_pattern(line.rstrip(), expected.language == "console") + r"\n"
    return re.fullmatch(pattern, said) is not None


def own_children():
    """Living processes that are ours: we are the reaper of those whose parent has gone."""
    found = []
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            break
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, fields = stat.read_text().rsplit(")", 1)
        except OSError:
            continue
        if int(fields.split()[1]) == os.getpid() and fields.split()[0] != "Z":
            found.append((int(name.split()[0]), name.split("(", 1)[1]))
    return found


class Scene:
    """A folder with an environment and a daemon, as a page finds them."""

    def __init__(self, folder, build):
        self.folder, self.daemon = pathlib.Path(folder), None
        self.place, self.out = self.folder / "page", self.folder / "out"
        for name in ("page", "out", "home"):
            (self.folder / name).mkdir()
        self.env = {key: os.environ[key] for key in ("PATH", "LANG", "TERM", "USER") if key in os.environ}
        self.env.update(HOME=str(self.folder / "home"), LC_ALL="C.UTF-8",
                        HAKMEM_SOCKET=str(self.folder / "d.sock"))
        if build:
            self.install(build)

    def install(self, build):
        # Not the component with the programs: it would put a configuration into /etc.
        prefix = self.folder / "prefix"
        for component in ("library", "development"):
            subprocess.run(["cmake", "--install", build, "--prefix", prefix, "--component", component],
                           check=True, stdout=subprocess.DEVNULL)
        (prefix / "bin").mkdir()
        for program in ("hakmemd", "hakmemctl", "hakmem-demo"):
            shutil.copy(build / "bin" / program, prefix / "bin")
        pc = next(prefix.glob("**/hakmem.pc")).parent
        self.env.update(PATH=f"{prefix}/bin:{self.env['PATH']}", PKG_CONFIG_PATH=str(pc),
                        LD_LIBRARY_PATH=str(pc.parent))
        (self.place / "build").mkdir()
        (self.place / "build" / "release").symlink_to(build)

    def run(self, *command, **more):
        return subprocess.run(command, cwd=self.place, env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=WAIT,
                              **more)

    def start_daemon(self):
        self.daemon = subprocess.Popen(["hakmemd", "--foreground", "--limit", "256M", "--log-level", "warn"],
                                       env=self.env, stdin=subprocess.DEVNULL)
        for _ in range(1000):
            if self.run("hakmemctl", "ping").returncode == 0:
                return
            time.sleep(0.02)
        raise Wrong("the daemon does not answer")

    def end(self):
        """Ends what is there; the names of processes that a page has left."""
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait(WAIT)
            self.daemon = None
        deadline = time.monotonic() + 10
        while own_children() and time.monotonic() < deadline:
            time.sleep(0.02)
        names, left = [], own_children()
        while left:  # and the children of those, which are ours then
            for pid, name in left:
                os.kill(pid, signal.SIGKILL)
                names.append(name)
            time.sleep(0.05)
            left = own_children()
        return sorted(set(names))


def compile_strictly(scene, plan):
    """The commands of a page compile as a reader would; here without a warning."""
    flags = scene.run("pkg-config", "--cflags", "hakmem").stdout.split()
    for name, block in plan.files.items():
        compiler = {".c": ["cc", "-std=c11", "-D_GNU_SOURCE"], ".cc": ["c++", "-std=c++17"]}.get(
            pathlib.Path(name).suffix)
        if compiler:
            made = scene.run(*compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", name, *flags)
            if made.returncode:
                raise Wrong(f"{block.where}: {name} has warnings:\n{made.stdout}")


def run_program(scene, plan):
    source = scene.place / "fragments.c"
    source.write_text(plan.program)
    where = f"{plan.page}:1: {pages.FRAGMENTS[plan.page]}"
    made = scene.run("sh", "-c", "cc -Wall -Werror fragments.c -o fragments "
                     "$(pkg-config --cflags --libs hakmem) && ./fragments")
    if made.returncode:
        raise Wrong(f"{where}, with the page's fragments:\n{made.stdout}")


def run_commands(scene, plan):
    script = scene.folder / "script"
    script.write_text(plan.script(scene.out))
    try:
        code = scene.run("bash", "-e", script).returncode
    except subprocess.TimeoutExpired:
        code = "time-out"
    for number, block in enumerate(plan.commands):
        printed = scene.out / str(number)
        if not printed.exists():
            break
        said = JOBS.sub("", printed.read_text())
        is_last = not (scene.out / str(number + 1)).exists()
        if is_last and code != 0:
            raise Wrong(f"{block.where}: the commands end with {code}:\n{said}")
        expected = plan.expected.get(block.where)
        if expected and not matches(expected, said):
            raise Wrong(f"{expected.where}: expected\n{expected.text}but it is\n{said}")
    if code != 0:
        raise Wrong(f"{plan.page}:1: bash ends with {code}")


def run_page(page, build):
    start = time.monotonic()
    plan = Plan(page)
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(folder, build)
        try:
            for name, block in plan.files.items():
                (scene.place / name).write_text(block.text)
            for name, source in pages.FILES.get(page, {}).items():
                shutil.copy(ROOT / source, scene.place / name)
            scene.start_daemon()
            compile_strictly(scene, plan)
            run_commands(scene, plan)
            if plan.program:
                run_program(scene, plan)
            audit = scene.run("hakmemctl", "check")
            if audit.returncode:
                raise Wrong(f"{page}:1: the pool, afterwards:\n{audit.stdout}")
        finally:
            left = scene.end()
        if left:
            raise Wrong(f"{page}:1: its commands leave processes: {' '.join(left)}")
    print(f"ok      {page}: {len(plan.commands)} blocks of commands, {len(plan.expected)} outputs, "
          f"{len(plan.files)} files, {time.monotonic() - start:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--build", type=pathlib.Path)
    which.add_argument("--installed", action="store_true")
    parser.add_argument("pages", nargs="+", metavar="PAGE")
    args = parser.parse_args()

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    failed = 0
    for page in args.pages:
        try:
            run_page(page, args.build.resolve() if args.build else None)
        except Wrong as wrong:
            failed += 1
            print(f"not ok  {wrong}")
    print(f"{failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
