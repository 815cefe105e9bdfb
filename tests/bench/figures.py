"""The figures that scripts/figures prints. Nothing here passes or fails on a time: it measures and reports.

Each part returns rows {"figure", "unit", "values", "note"}; the table shows the median and the worst of the values.
"""
import statistics

from clients import first_write, run_load, say
from kernel import cpu_of, memory_of
from kills import KILLS, kill_once
from naru_cluster import Cluster, Failed, wait_until


def row(figure, unit, values, note="", better="lower"):
    return {"figure": figure, "unit": unit, "values": values, "note": note, "better": better}


def starts(runs):
    """From nothing to a client's first acknowledged write."""
    rows = []
    for brokers in (1, 3):
        name = "one broker" if brokers == 1 else "three brokers, empty directories"
        values, listening = [], []
        for run in range(runs):
            say(f"start, {name}: run {run + 1} of {runs}")
            with Cluster(brokers) as cluster:
                heard, acknowledged = first_write(cluster)
                listening.append(heard)
                values.append(acknowledged)
        note = f"all listen after {statistics.median(listening):.2f} s"
        rows.append(row(f"start to first acknowledged write, {name}", "s", values, note))
    return rows


def settled_memory(cluster):
    """Looks until the sum no longer falls: what was needed to start is given back by and by."""
    seen = [memory_of(cluster)]

    def settled():
        seen.append(memory_of(cluster))
        return abs(sum(seen[-1]) - sum(seen[-2])) < 0.2
    wait_until(settled, "memory that no longer changes", timeout=60, pause=3)
    return seen[-1]


def memory(partitions):
    rows = []
    with Cluster(3) as cluster:
        cluster.start()
        say("memory of idle brokers")
        rows.append(row("memory of a broker, idle", "MB", settled_memory(cluster)))
        say(f"memory with {partitions} partitions")
        cluster.naru("topic", "create", "many", "-p", partitions, timeout=120)
        cluster.wait_isr("many")
        rows.append(row(f"memory of a broker, {partitions} partitions", "MB", settled_memory(cluster)))
    return rows


def rates(megabytes, runs):
    """acks=all, RF 3, 1 KiB records: rates, CPU of the three brokers, memory afterwards."""
    rows = []
    for batch in (16384, 131072):
        produced, produce_cpu, consumed, consume_cpu, after = [], [], [], [], []
        for run in range(runs):
            say(f"{megabytes} MB in batches of {batch} bytes: run {run + 1} of {runs}")
            with Cluster(3) as cluster:
                cluster.start()
                cluster.naru("topic", "create", "load", "-p", 6)
                cluster.wait_isr("load")
                words = ["--bootstrap", cluster.bootstrap, "--topic", "load"]
                before = cpu_of(cluster)
                done = run_load("produce", *words, "--megabytes", megabytes, "--batch-bytes", batch, "--linger-ms", 5)
                middle = cpu_of(cluster)
                gigabytes = done["acked"] * 1024 / 1e9
                produced.append(done["mb_per_s"])
                produce_cpu.append((middle - before) / gigabytes)
                sent = done["acked"]
                done = run_load("consume", *words)
                if done["records"] != sent:
                    raise Failed(f"{sent} records were acknowledged and {done['records']} consumed")
                consumed.append(done["mb_per_s"])
                consume_cpu.append((cpu_of(cluster) - middle) / gigabytes)
                after += settled_memory(cluster)
        size = f"{batch // 1024} KiB batches"
        rows.append(row(f"produce, {size}", "MB/s", produced, "acks=all, RF 3, 1 KiB records, librdkafka", "higher"))
        rows.append(row(f"CPU of three brokers a GB produced, {size}", "s/GB", produce_cpu))
        rows.append(row(f"consume, {size}", "MB/s", consumed, "all of it, from the start", "higher"))
        rows.append(row(f"CPU of three brokers a GB consumed, {size}", "s/GB", consume_cpu))
        rows.append(row(f"memory of a broker after this, {size}", "MB", after))
    return rows


def gaps(runs, clients, others, kinds=KILLS):
    """Brokers that end under a steady producer: the longest time that a partition goes without an acknowledgement."""
    rows = []
    returns = []
    for client, make_producer in clients:
        seen = {kind: [] for kind in kinds}
        for run in range(runs):
            for kind in kinds:
                gap, back = kill_once(lambda: Cluster(3), kind, make_producer, others)
                seen[kind].append(gap)
                returns.append(back)
            say(f"{client}, run {run + 1} of {runs}: " + ", ".join(f"{kinds[k]} {v[-1]:.0f} ms" for k, v in seen.items()))
        rows += [row(f"longest gap at {kinds[kind]}, {client}", "ms", values, f"{others} partitions besides") for kind, values in seen.items()]
    if returns:
        rows.append(row("broker back in every ISR", "s", returns, "from its start, or from when it went on"))
    return rows


def table(rows):
    shown = [("FIGURE", "MEDIAN", "WORST", "UNIT", "RUNS", "")]
    for r in rows:
        worst = min(r["values"]) if r["better"] == "higher" else max(r["values"])
        digits = 0 if r["unit"] in ("ms", "MB/s") else 1 if r["unit"] in ("MB", "s/GB") else 2
        shown.append((r["figure"], f"{statistics.median(r['values']):.{digits}f}", f"{worst:.{digits}f}", r["unit"],
                      str(len(r["values"])), r["note"]))
    widths = [max(len(line[i]) for line in shown) for i in range(6)]
    text = []
    for line in shown:
        cells = [line[0].ljust(widths[0]), line[1].rjust(widths[1]), line[2].rjust(widths[2]), line[3].ljust(widths[3]),
                 line[4].rjust(widths[4]), line[5]]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text)


def merged(several):
    """Rows of several reports under one name become one."""
    by_name = {}
    for rows in several:
        for r in rows:
            known = by_name.setdefault(r["figure"], {**r, "values": []})
            known["values"] = known["values"] + r["values"]
    return list(by_name.values())
