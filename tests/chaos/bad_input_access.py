"""The cases of tests/clients/bad_input.py as chaos scenarios use them: on a cluster that serves clients meanwhile."""
from wire import bad_input

batch, string, varint = bad_input.batch, bad_input.string, bad_input.varint

BATCHES = [name for name, case in bad_input.CASES.items() if any(word in name for word in ("CRC", "count", "delta", "batch", "magic", "codec", "gzip"))]
FLOODS = ("200 connections that claim 50 MB each", "a client that never reads")
STRUCTURE = [name for name in bad_input.CASES if name not in BATCHES and name not in FLOODS]


def run_cases(run, cluster, broker, names):
    """The problems found, by case. The topic is led by `broker`, so that it is asked and not merely reached."""
    a, b = [x.id for x in cluster.brokers if x.id != broker.id]
    cluster.naru("topic", "create", "bad-input", "--assign", f"{broker.id}:{a}:{b}")
    cluster.wait_isr("bad-input")
    bad_input.SEED = run.random.randrange(1 << 32)  # the scenario's seed repeats these, too
    problems = {}
    for name in names:
        try:
            bad_input.CASES[name]((broker.host, broker.port), "bad-input")
        except (AssertionError, bad_input.Closed, OSError) as failure:
            problems[name] = f"{type(failure).__name__}: {failure}"
    return problems
