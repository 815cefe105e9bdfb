"""The harness's end of proxy.py: one proxy process on a broker's host."""
import json
import select
import subprocess
import sys

from means import HERE
from naru_cluster import Failed, die_with_parent


class Proxy:
    next_port = 15000

    def __init__(self, run, hosts, host):
        self.port = Proxy.next_port = Proxy.next_port + 1
        self.process = subprocess.Popen([*hosts.inside(host), sys.executable, str(HERE / "proxy.py"), str(self.port)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(run.dir / f"proxy-{self.port}.log", "wb"),
                                        text=True, preexec_fn=die_with_parent, start_new_session=True)
        run.undo.callback(self.close)
        self._answer()

    def _answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], 15)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise Failed(f"the proxy on port {self.port} does not answer")
        return json.loads(line)

    def order(self, **orders):
        """From now on this, and nothing else. Returns the counters."""
        self.process.stdin.write(json.dumps(orders) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
