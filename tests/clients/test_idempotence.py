"""Nothing lost, nothing twice, nothing out of order, through deaths of leaders with many requests in flight."""
from naru_cluster import Cluster
from programs import Program, run_program
from support import equal, true
from toolchains import HERE, debian_python, venv_python


def kill_leaders_under(interpreter):
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "numbers", "-p", 3, "-r", 3)
        with Program([interpreter, HERE / "python" / "steady_producer.py", cluster.bootstrap, "numbers"]) as producer:
            flowing(producer)
            for partition in (0, 1):
                victim = cluster.leader("numbers", partition)
                cluster[victim].kill()
                flowing(producer)
                cluster[victim].start()
                cluster.wait_isr("numbers")
                flowing(producer)
            producer.process.stdin.write("stop\n")
            producer.process.stdin.flush()
            word, sent, acked = producer.finish()[-1].split()
        equal((word, acked), ("done", sent), "everything is acknowledged")
        true(int(sent) > 1000, f"only {sent} messages say nothing")
        for partition in range(3):
            read = run_program(["kcat", "-b", cluster.bootstrap, "-C", "-e", "-q", "-t", "numbers", "-p", partition]).split()
            equal(read, [str(i) for i in range(partition, int(sent), 3)], f"partition {partition}")


def flowing(producer):
    """Three hundred more are acknowledged."""
    last = next((line for line in reversed(producer.lines) if line.startswith("acked ")), "acked 0")
    goal = int(last.split()[1]) + 300
    producer.wait_line(f"^acked {goal}$")


def test_confluent_of_debian():
    kill_leaders_under(debian_python("confluent_kafka"))


def test_confluent_newest():
    kill_leaders_under(venv_python())
