"""What the four commands share: common options, a question before anything happens, tables, and ssh to a broker's host."""
import argparse
import pathlib
import re
import subprocess
import sys

from aws import Aws, Refused, tags
from deployment import Deployment


def parser(text):
    options = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False)
    options.add_argument("--help", "-h", action="help", help=argparse.SUPPRESS)
    options.add_argument("--name", default="naru")
    options.add_argument("--region")
    return options


def usage(text):
    """The head comment is the help."""
    options = parser(text)
    options.format_help = lambda: text.strip() + "\n"
    return options


def region_of(aws):
    if aws.region:
        return aws.region
    done = subprocess.run(["aws", "configure", "get", "region"], capture_output=True, text=True, check=False)
    import os
    found = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or done.stdout.strip()
    if not found:
        sys.exit("no region: --region, AWS_REGION, or `aws configure`")
    return found


def check_name(name):
    """It becomes part of a bucket's name, and of filters, in which AWS takes * and ? for any character: a bad name would be
    refused half way, or select the clusters of others."""
    if not re.fullmatch("[a-z0-9]([a-z0-9-]{0,24}[a-z0-9])?", name):
        sys.exit(f"--name {name}: 1 to 26 small letters, digits and hyphens, no hyphen first or last")


def open_deployment(given, dry_run=False):
    check_name(given.name)
    aws = Aws(given.region, dry_run)
    aws.region = region_of(aws)
    return aws, Deployment(aws, given.name)


def confirm(question, given):
    """On a terminal, by a word; elsewhere only --yes."""
    if given.yes:
        return
    if not sys.stdin.isatty():
        sys.exit("nothing was done: --yes is needed where nobody can be asked")
    try:
        said = input(f"{question} [y/N] ")
    except EOFError:  # ctrl-D
        said = ""
        print()
    if said.strip().lower() not in ("y", "yes"):
        sys.exit("nothing was done")


def table(rows):
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    return "".join("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n" for row in rows)


class Ssh:
    """The hosts by ssh, as Debian's first user."""

    def __init__(self, identity, via="public", user="admin"):
        self.identity = pathlib.Path(identity).expanduser()
        self.via = via
        self.user = user

    def address(self, instance):
        address = instance.get("PublicIpAddress") if self.via == "public" else instance.get("PrivateIpAddress")
        if not address:
            raise SystemExit(f"{tags(instance).get('Name')} has no {self.via} address (--via private?)")
        return address

    def words(self, instance):
        return ["ssh", "-i", str(self.identity), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "StrictHostKeyChecking=accept-new",
                "-o", f"UserKnownHostsFile={self.known_hosts()}", "-o", f"HostKeyAlias={instance['InstanceId']}", "-o", "CheckHostIP=no",
                "-o", "LogLevel=ERROR", "-o", "ServerAliveInterval=5",
                f"{self.user}@{self.address(instance)}"]

    @staticmethod
    def known_hosts():
        """Not the user's own. A key is kept by the instance's id: addresses come back with other hosts, and other keys."""
        where = pathlib.Path.home() / ".cache" / "naru-ec2"
        where.mkdir(parents=True, exist_ok=True)
        return where / "known_hosts"

    def run(self, instance, command, timeout=60):
        """A shell command there; the finished process."""
        try:
            return subprocess.run([*self.words(instance), command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 255, "", f"no answer within {timeout} s")


def add_ssh_options(options):
    options.add_argument("--identity")
    options.add_argument("--via", choices=("public", "private"), default="public")


def main(body):
    """Runs a command; a refusal of AWS is said in words, with what to do next."""
    try:
        sys.exit(body())
    except Refused as refused:
        print(f"AWS refused: {refused.text()}\nWhat was done so far stays; the same command goes on from there.", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
