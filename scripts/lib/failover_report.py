"""The verdict and the report of the failover demos, the same for processes, containers and hosts."""


KILL_HEADS = ("kill", "broker", "leaders before", "after", "controller before", "after", "longest gap", "sent", "acked", "lost", "duplicated")


def judge(kills, verdict, changes_min):
    """What `kills` did and what the clients saw, as one report; passed only if the run means something."""
    changes = sum(1 for k in kills if k["before"]["leaders"] != k["after"]["leaders"]) + \
        sum(1 for k in kills if k["before"]["controller"] != k["after"]["controller"])
    reasons = []
    if not verdict["clean"]:
        reasons.append("promises were broken: " + ", ".join(f"{n} {c}" for n, c in verdict["anomalies"].items() if c))
    if not verdict["complete"]:
        reasons.append(verdict["incomplete"])
    if verdict["failed"]:
        reasons.append(f"the producer gave up on {verdict['failed']} records")
    if changes < changes_min:
        reasons.append(f"only {changes} changes of leader or controller: the kills did not do what they should")
    if verdict["acknowledged"] < 100:
        reasons.append("too few records for the result to mean something")
    # Whether a record is lost shows when all are read again, at the end, and then not at which kill: none in all is none at
    # each, and otherwise nobody can say more than "at most all of them".
    for kill in kills:
        for what in ("lost", "duplicated"):
            kill[what] = 0 if verdict["anomalies"][what] == 0 else None
    return {"passed": not reasons, "reasons": reasons, "kills": kills, "verdict": verdict}


def summary(report):
    verdict = report["verdict"]
    anomalies = verdict["anomalies"]
    return (f"records sent {verdict['sent']:,}  acknowledged {verdict['acknowledged']:,}  lost {anomalies['lost']}  "
            f"duplicated {anomalies['duplicated']}  reordered {anomalies['reordered']}  consumed {verdict['polled']:,}")


def kill_rows(report):
    """Each kill in words, under KILL_HEADS."""
    anomalies = report["verdict"]["anomalies"]

    def bound(kill, what):
        return str(kill[what]) if kill[what] is not None else f"<= {anomalies[what]}"
    return [(k["kill"], str(k["broker"]), ",".join(map(str, k["before"]["leaders"])), ",".join(map(str, k["after"]["leaders"])),
             str(k["before"]["controller"]), str(k["after"]["controller"]), f"{k['gap_ms']:.0f} ms", f"{k['sent']:,}",
             f"{k['acknowledged']:,}", bound(k, "lost"), bound(k, "duplicated")) for k in report["kills"]]


def print_report(report, out):
    verdict = report["verdict"]
    rows = [tuple(head.upper() for head in KILL_HEADS), *kill_rows(report)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    out.write("\n")
    for row in rows:
        out.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n")
    out.write(f"\n{summary(report)}\n")
    for example in verdict["examples"][:10]:
        out.write(f"  {example}\n")
    for reason in report["reasons"]:
        out.write(f"  {reason}\n")
    out.write("PASS\n" if report["passed"] else "FAIL\n")
