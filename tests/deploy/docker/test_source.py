"""The image, compiled within its own build: from a fresh Debian and what is in the repository, nothing else."""
from containers import FREE, container, free_port, naru, need_docker, run, wait_container_healthy
from missing import TOP, beside

NEEDS = ("engine", "binary")


@beside
def test_image_from_source():
    need_docker()
    name = f"naru-test-source:{FREE.randrange(16**8):08x}"
    run(TOP / "deploy/docker/build", "--tag", name, timeout=3600)
    try:
        port = free_port()
        with container("-p", f"127.0.0.1:{port}:9092", name) as broker:
            wait_container_healthy(broker)
            naru("produce", "t", brokers=f"127.0.0.1:{port}", text_in="built here\n")
            assert naru("consume", "t", "-e", brokers=f"127.0.0.1:{port}").stdout == "built here\n"
    finally:
        run("docker", "image", "rm", "-f", name, check=False)
