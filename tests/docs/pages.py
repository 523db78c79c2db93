# SPDX-License-Identifier: MIT
"""
What blocks.py can't see in a page itself: which blocks are run by another stage, and by which; which
are parts of a program, and what makes them whole. A block is named by its first line. A row
that no block of the page has any more is an error, so is a file that has lost its word.
"""

# page: {first line of a block: (file that runs it, a word that it has)}
ELSEWHERE = {
    "README.md": {
        "bash deploy/quickstart.sh": ("tests/CMakeLists.txt", "deploy/quickstart.sh"),
        "bash tests/run.sh": ("tests/run.sh", "programs release"),
        "bash deploy/install.sh             # builds, installs, enables hakmemd; the same again is an upgrade":
            ("tests/systemd/run.sh", "bash deploy/install.sh"),
    },
    "docs/tutorial.md": {
        "apt install gcc libc6-dev pkg-config ./hakmem_*.deb ./libhakmem1_*.deb ./libhakmem-dev_*.deb":
            ("tests/packages/run.sh", "grep '^apt install' docs/tutorial.md"),
    },
    "docs/install.md": {
        "cmake --preset release && cmake --build --preset release":
            ("tests/packages/run.sh", "cpack -G DEB"),
        "find_package(hakmem 0.1 REQUIRED)":
            ("tests/packages/consumer/CMakeLists.txt", "find_package(hakmem"),
    },
    "docs/cpp.md": {
        "#include <hakmem.hpp>": ("tests/api/cpp.sh", "docs/cpp.md"),
        "c++ -std=c++17 numbers.cc -o numbers -lhakmem": ("tests/api/cpp.sh", "for language in cpp sh text"),
        "3": ("tests/api/cpp.sh", "for language in cpp sh text"),
    },
}

# page: a program with lines @fragment N@ where the page's code without a name goes, in order. It is run.
FRAGMENTS = {
    "README.md": "tests/docs/readme.c.in",
}

# page: {name: file of this tree} that the page speaks of as the reader's own
FILES = {
    "docs/install.md": {"program.c": "tests/api/minimal.c"},
}
