"""Who belongs to the cluster: an id that is in use already, and a broker that is gone for good."""
import subprocess

from naru_cluster import Cluster, Workload, clean_environment, naru_binary, wait_until
from support import clean, equal, true


def test_a_node_id_in_use_is_named_on_both_sides():
    with Cluster(3) as cluster:
        cluster.start()
        used = cluster[2]
        place = cluster.dir / "twin"
        place.mkdir()
        lines = []
        for line in (used.dir / "server.properties").read_text().splitlines():
            if line.startswith("listeners="):
                line = line.replace(f":{used.port},", f":{used.port + 100},").replace(f":{used.peer_port}", f":{used.peer_port + 100}")
            lines.append(f"log.dirs={place / 'data'}" if line.startswith("log.dirs=") else line)
        properties = place / "server.properties"
        properties.write_text("\n".join(lines) + "\n")
        log = place / "naru.log"
        with open(log, "wb") as out:
            twin = subprocess.Popen([naru_binary(), "start", "-c", str(properties)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                    env=clean_environment())
        try:
            said = "node.id 2 is in use"
            wait_until(lambda: said in log.read_text(errors="replace"), "the second process says why it is not let in")
            wait_until(lambda: "waits for a leader of the metadata quorum" in log.read_text(errors="replace"),
                       "the second process says that it waits")
            wait_until(lambda: any(said in cluster[i].log() for i in (1, 3)), "a broker of the cluster to say it too")
        finally:
            twin.kill()
            twin.wait()
        cluster.wait_healthy()
        roles = {b["id"]: b["role"] for b in cluster.status()["brokers"]}
        true(roles[2] != "observer", f"broker 2 votes as before: {roles}")


def test_a_broker_that_is_gone_for_good_is_removed():
    with Cluster(3, observers=1) as cluster:
        cluster.start()
        equal(cluster[4].terminate(), 0, "exit code of SIGTERM")
        wait_until(lambda: {b["id"]: b["fenced"] for b in cluster.status()["brokers"]}.get(4) is True, "broker 4 is down")
        cluster.naru("broker", "remove", 4, "--yes")
        wait_until(lambda: sorted(b["id"] for b in cluster.status()["brokers"]) == [1, 2, 3], "broker 4 is forgotten")
        cluster.naru("health")
        cluster[4].start()
        wait_until(lambda: {b["id"]: b["fenced"] for b in cluster.status()["brokers"]}.get(4) is False, "broker 4 may come back")


def test_a_broker_is_drained_and_takes_its_share_again():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "--assign", "1:2:3,2:3:1,3:1:2,1:3:2,2:1:3,3:2:1")
        cluster.wait_isr("orders")

        def led():
            return {b["id"]: b["leaders"] for b in cluster.status()["brokers"]}

        refused = cluster.run("broker", "drain", 3, "--yes")
        equal(refused.returncode, 1, "exit code where nobody can hold the third copy")
        true("3 replicas" in refused.stderr and "--leaders" in refused.stderr, refused.stderr)
        equal(cluster.run("broker", "drain", 3, "--leaders").returncode, 2, "exit code unasked")
        equal(cluster.json("broker", "drain", 3, "--leaders", "--dry-run")["bytes"], 0, "bytes to copy where only leaders move")
        with Workload(cluster, "orders") as load:
            load.flow()
            cluster.wait_isr("__consumer_offsets")  # what is made later is shared out among all
            cluster.naru("broker", "drain", 3, "--leaders", "--yes")

            def given_away():
                now = led()
                return now[3] == 0 and abs(now[1] - now[2]) <= 1
            wait_until(given_away, "broker 3 to lead nothing, and the others the same number")
            equal({len(p["replicas"]) for p in cluster.topic("orders")["partition_list"]}, {3}, "copies")
            load.flow()
            cluster.naru("broker", "undrain", 3, "--yes")
            wait_until(lambda: (lambda now: now[3] >= sum(now.values()) // 3)(led()), "broker 3 to lead its share")
            equal(cluster.json("broker", "undrain", 3, "--dry-run")["moves"], [], "what is left to do")
            clean(load.stop())
