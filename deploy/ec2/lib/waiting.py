"""Waiting for the cluster as its own hosts see it, by ssh."""
import sys
import time


class NotThere(Exception):
    pass


def wait_until(condition, what, timeout, tell=None):
    """Calls `condition` until it is true; it says what it sees by raising NotThere."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            found = condition()
            if found:
                return found
        except NotThere as seen:
            if str(seen) != last and tell:
                tell(str(seen))
            last = str(seen)
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {timeout:.0f} s for {what}; last seen: {last}")
        time.sleep(1)  # between two looks


def first_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else ""


def wait_healthy(deployment, ssh, count, timeout=900, tell=lambda text: print(f"  {text}", file=sys.stderr, flush=True)):
    """Until a host says that `count` brokers live and nothing is missing."""
    def healthy():
        instances = deployment.instances()
        if not instances:
            raise NotThere("no instance")
        said = "no host answers by ssh yet"
        for instance in instances.values():
            done = ssh.run(instance, f"naru health --timeout 3s --min-brokers {count}", timeout=20)
            if done.returncode == 0:
                return True
            if done.returncode != 255:
                said = first_line(done.stdout + done.stderr)
        raise NotThere(said)
    print("waiting for the first boot and a healthy cluster", file=sys.stderr, flush=True)
    wait_until(healthy, "a healthy cluster", timeout, tell)
