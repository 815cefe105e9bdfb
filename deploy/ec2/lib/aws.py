"""The AWS CLI as these scripts use it: what only looks is quiet, what changes something is printed before it is done.

Everything goes through the `aws` command with the user's own profile, region and endpoint; nothing here knows a secret.
"""
import json
import re
import shlex
import shutil
import subprocess
import sys


class Refused(Exception):
    """AWS said no, or the command could not be run. `code` is AWS's word for it, such as InvalidGroup.Duplicate."""

    def __init__(self, words, message):
        found = re.search(r"An error occurred \(([^)]+)\)", message)
        self.code = found.group(1) if found else ""
        self.words = words
        super().__init__(message)

    def text(self):
        return f"{shlex.join(shorten(self.words))}\n  {self}"


def shorten(words):
    """A command for people: texts of many lines are left out."""
    return [w if len(w) < 500 and "\n" not in w else w[:20] + "..." for w in words]


class Aws:
    def __init__(self, region=None, dry_run=False, out=sys.stderr):
        self.region = region
        self.dry_run = dry_run
        self.out = out
        if shutil.which("aws") is None:
            sys.exit("the AWS CLI is not installed (2.13 or newer, or awscli from PyPI): no `aws` in PATH")

    def _run(self, words, text=False):
        command = ["aws", *words, "--output", "text" if text else "json"]
        if self.region:
            command += ["--region", self.region]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Refused(command, (done.stderr or done.stdout).strip())
        if text:
            return done.stdout.strip()
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def read(self, *words):
        return self._run(list(map(str, words)))

    def change(self, *words, text=False):
        """Does it, after printing it; a dry run only prints it, and answers None."""
        words = list(map(str, words))
        print(("would run: " if self.dry_run else "+ ") + "aws " + shlex.join(shorten(words)), file=self.out, flush=True)
        if self.dry_run:
            return None
        return self._run(words, text)

    def presign(self, bucket, key, seconds):
        return self._run(["s3", "presign", f"s3://{bucket}/{key}", "--expires-in", str(seconds)], text=True)

    def exists(self, absent_codes, *words):
        """The answer to a question about something that may not be there, else None."""
        try:
            return self.read(*words)
        except Refused as refused:
            if refused.code in absent_codes:
                return None
            raise


def tags(items):
    """Of a described thing, as a dictionary."""
    return {t["Key"]: t["Value"] for t in items.get("Tags", [])}
