"""A build that is older than its sources is noticed, at once and without being made again."""
import os
import pathlib
import subprocess
import tempfile

from built import steps_left
from support import equal

# As CMake writes it where lists of files are globbed: whether build.ninja is to be written anew is known when it was looked.
MANIFEST = """rule copy
  command = cp $in $out
rule nothing
  command = true
  generator = 1
  restat = 1
build always: phony
build files: nothing always
build build.ninja: nothing files
build part: copy source
build naru: copy part
build other: copy source
"""


def test_what_is_left_to_build():
    with tempfile.TemporaryDirectory(prefix="naru-docs-") as scratch:
        folder = pathlib.Path(scratch)
        (folder / "files").touch()
        (folder / "build.ninja").write_text(MANIFEST)
        (folder / "source").write_text("of today")
        equal(steps_left(folder, "naru"), 2, "steps where nothing was built")
        equal((folder / "naru").exists(), False, "that it is there though it was only asked for")
        subprocess.run(["ninja", "-C", scratch, "naru"], stdout=subprocess.DEVNULL, check=True)
        equal([steps_left(folder, "naru"), steps_left(folder, "naru", "other")], [0, 1], "steps when naru was built")
        built = (folder / "naru").stat().st_mtime
        os.utime(folder / "source", (built + 60, built + 60))
        equal(steps_left(folder, "naru"), 2, "steps when the source has changed since")
