"""The Debian package to test: $NARU_DEB, else what deploy/deb/build makes of the release build. Made once a run."""
import functools
import os
import pathlib
import subprocess

from missing import TOP
from naru_cluster import Failed


@functools.cache
def package():
    given = os.environ.get("NARU_DEB")
    if given:
        return pathlib.Path(given).resolve()
    done = subprocess.run([str(TOP / "deploy" / "deb" / "build")], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failed("deploy/deb/build failed; see build/logs")
    return pathlib.Path(done.stdout.strip())
