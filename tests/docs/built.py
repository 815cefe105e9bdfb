"""Whether build/release is of this tree, as it is for a page's reader, who has just built it. A build that is older would be
made again within the test (`scripts/run` builds), which takes minutes, or lacks what the pages speak of already.
"""
import re
import shutil
import subprocess
import tempfile

from naru_cluster import TOP, Failed


def steps_left(folder, *targets):
    """How many steps a build of the targets would take; nothing is built, or changed.

    Asked of a copy of build.ninja: for the file itself a dry run ends with CMake, which has to look at the folders' lists of
    files before anybody knows whether there is anything to do.
    """
    with tempfile.TemporaryDirectory(prefix="naru-docs-") as scratch:
        copy = shutil.copy(folder / "build.ninja", scratch)
        done = subprocess.run(["ninja", "-C", str(folder), "-f", copy, "-n", *targets], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"ninja cannot say what is left of {targets}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    return 0 if "ninja: no work to do." in done.stdout else max(map(int, re.findall(r"^\[\d+/(\d+)\]", done.stdout, re.MULTILINE)))


def must_be_built(*targets):
    folder = TOP / "build" / "release"
    left = steps_left(folder, *targets) if (folder / "build.ninja").exists() else "all"
    if left:
        raise Failed(f"build/release is not of this tree, {left} steps are left: cmake --build build/release --target {' '.join(targets)}")
