"""Looking at brokers over HTTP: health, metrics, the page's JSON."""
import json
import urllib.error
import urllib.request

from naru_cluster import Failed, free_ports

FIRST_PORT = 9644


def give_ports(cluster):
    """Each broker of the cluster gets a port that the tests know; before the start."""
    first = free_ports(cluster.host, FIRST_PORT, len(cluster.brokers))
    for broker in cluster.brokers:
        broker.settings["naru.http.port"] = first + broker.id - 1
    return cluster


def url(broker, path):
    return f"http://{broker.host}:{broker.settings['naru.http.port']}{path}"


def get(broker, path, timeout=20):
    """Status and body; 0 and nothing if nobody listens."""
    try:
        with urllib.request.urlopen(url(broker, path), timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except (urllib.error.URLError, OSError):
        return 0, ""


def get_json(broker, path):
    status, body = get(broker, path)
    return status, json.loads(body) if body else None


def parse(text):
    """Prometheus' text format as {name{labels}: value}, labels in the order in which they came."""
    samples = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            if series in samples:
                raise ValueError(f"twice in one answer: {series}")
            samples[series] = float(value)
    return samples


def scrape(broker, path="/metrics"):
    status, body = get(broker, path)
    if status != 200:
        raise Failed(f"{path} of broker {broker.id} answers {status}: {body}")
    return parse(body)


def total(samples, name, **labels):
    """The sum over the series of that name with those labels; None if there is none."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    found = [value for series, value in samples.items()
             if series.split("{")[0] == name and all(label in series for label in wanted)]
    return sum(found) if found else None
