"""The real AWS CLI, loaded once: takes command lines on a socket and forks for each. Starting it anew takes most of a
second, and the tests of partial failures make some thousand calls.

It can also fail on purpose: when the caller's EC2_TEST_FAIL names a file with "N before" or "N after", the Nth changing
call of that run is refused, before it is done or after (an answer that was lost). The number of changing calls so far is
kept in that file's .count.
"""
import array
import json
import os
import pathlib
import socket
import sys

LOOKS = ("describe-", "get-", "list-", "head-", "wait", "presign")


def fault(argv):
    """None, "before" or "after" for this call."""
    where = os.environ.get("EC2_TEST_FAIL")
    if not where or len(argv) < 2 or argv[1].startswith(LOOKS) or argv[0] == "configure":
        return None
    counter = pathlib.Path(where + ".count")
    count = int(counter.read_text()) + 1 if counter.exists() else 1
    counter.write_text(str(count))
    number, when = pathlib.Path(where).read_text().split()
    return when if count == int(number) else None


def call(driver, argv):
    when = fault(argv)
    code = driver.main(argv) if when != "before" else 0
    if when:
        print(f"\nAn error occurred (RequestLimitExceeded) when calling the {argv[1]} operation: made to fail {when}", file=sys.stderr)
        return 254
    return code


def serve_one(driver, connection):
    descriptors = array.array("i")
    message, ancillary, _, _ = connection.recvmsg(1 << 20, socket.CMSG_SPACE(3 * descriptors.itemsize))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data)
    if os.fork() != 0:
        for descriptor in descriptors:
            os.close(descriptor)
        return
    asked = json.loads(message)
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    code = 255
    try:
        code = call(driver, asked["argv"])
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(bytes([code & 0xff]))
        os._exit(0)


def main():
    import signal
    from awscli.clidriver import create_clidriver
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    driver = create_clidriver()
    loader = driver.session.get_component("data_loader")
    for service in ("ec2", "route53", "s3", "sts"):
        loader.load_service_model(service, "service-2")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(sys.argv[1])
    listener.listen(16)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        serve_one(driver, connection)
        connection.close()


main()
