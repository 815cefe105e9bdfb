"""deploy/kubernetes: what kubectl makes of it, without a cluster, and its pods' environments as processes of this machine."""
import json
import re
import subprocess

from composed import Composed
from missing import TOP, need_program, needs
from naru_cluster import Failed
from support import equal, true

NEEDS = ("binary", "yaml")


def rendered():
    """Objects by kind."""
    import yaml
    kubectl = need_program("kubectl", "to render deploy/kubernetes")
    done = subprocess.run([kubectl, "kustomize", str(TOP / "deploy/kubernetes")], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"kubectl kustomize deploy/kubernetes: {done.stderr}")
    return {thing["kind"]: thing for thing in yaml.safe_load_all(done.stdout)}


@needs("yaml")
def test_what_is_asked_of_kubernetes():
    objects = rendered()
    equal(sorted(objects), ["PodDisruptionBudget", "Service", "StatefulSet"], "kinds of objects")
    service, brokers, budget = (objects[kind]["spec"] for kind in ("Service", "StatefulSet", "PodDisruptionBudget"))
    equal((service["clusterIP"], service["publishNotReadyAddresses"]), ("None", True), "a name for each broker, ready or not")
    equal((brokers["serviceName"], brokers["replicas"], brokers["podManagementPolicy"]), (objects["Service"]["metadata"]["name"], 3, "Parallel"),
          "three brokers that start at the same time")
    equal(budget["maxUnavailable"], 1, "brokers that a drain may take")
    labels = brokers["template"]["metadata"]["labels"].items()
    for selector in (service["selector"], brokers["selector"]["matchLabels"], budget["selector"]["matchLabels"]):
        true(selector.items() <= labels, f"{selector} selects the brokers, which have {dict(labels)}")
    pod = brokers["template"]["spec"]
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    equal(ports, {port["name"]: port["port"] for port in service["ports"]}, "ports of the service and of a broker")
    equal({probe: (container[probe]["httpGet"]["path"], ports[container[probe]["httpGet"]["port"]]) for probe in ("livenessProbe", "readinessProbe")},
          {"livenessProbe": ("/livez", 9644), "readinessProbe": ("/readyz", 9644)}, "what is asked of a broker")
    equal((pod["securityContext"]["runAsUser"], container["securityContext"]["readOnlyRootFilesystem"]), (1000, True), "as the image's user")
    (mount,), (claim,) = container["volumeMounts"], brokers["volumeClaimTemplates"]
    equal(mount["name"], claim["metadata"]["name"], "the volume")
    true(given(container, "naru-0")["KAFKA_LOG_DIRS"].startswith(mount["mountPath"] + "/"), "records are kept in the volume")
    true(pod["terminationGracePeriodSeconds"] >= 120, "time to hand leaderships over")


def given(container, pod):
    """The environment that Kubernetes makes of it for a pod in the namespace default."""
    fields = {"metadata.name": pod, "metadata.namespace": "default", "metadata.labels['apps.kubernetes.io/pod-index']": pod.rpartition("-")[2]}
    environment = {}
    for variable in container["env"]:
        if "valueFrom" in variable:
            value = fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        else:  # of those that stand before it
            value = re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), variable["value"])
        environment[variable["name"]] = value
    return environment


def test_its_pods_form_a_cluster():
    brokers = rendered()["StatefulSet"]
    (container,) = brokers["spec"]["template"]["spec"]["containers"]
    pods = [f"{brokers['metadata']['name']}-{n}" for n in range(brokers["spec"]["replicas"])]
    # Their names within the namespace, and those that clients elsewhere are told, are their addresses here.
    environments = {pod: {name: re.sub(r"(naru-\d)\.naru(\.default\.svc)?:", r"\1:", value) for name, value in given(container, pod).items()} for pod in pods}
    true(all(pod + ":9092" in environments[pod]["KAFKA_ADVERTISED_LISTENERS"] for pod in pods), f"what each advertises: {environments}")
    with Composed(environments) as running:
        running.wait_healthy()
        status = json.loads(running.naru("status", "-o", "json"))
        equal({b["id"]: (b["host"], b["port"]) for b in status["brokers"]}, {n: (running.hosts[pod], 9092) for n, pod in enumerate(pods)},
              "numbers and addresses")
        running.naru("topic", "create", "t", "-p", "3")
        equal(json.loads(running.naru("topic", "describe", "t", "-o", "json"))[0]["replicas"], 3, "copies that a topic has")
        running.naru("produce", "t", text_in="one\ntwo\nthree\n")
        equal(sorted(running.naru("consume", "t", "-e").split()), ["one", "three", "two"], "records")
        for pod in pods:
            true("unknown propert" not in running.log(pod), f"{pod} understands all that it is given: {running.log(pod)[:2000]}")
        equal(running.stop(), [0, 0, 0], "exit codes after SIGTERM")
