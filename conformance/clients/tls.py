"""TLS: redis-cli, redis-benchmark, redis-py, openssl s_client and Python's ssl against a port opened by CONFIG SET."""
import hashlib
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

import redis
from checks import check, equal, raises, section

PORT = int(sys.argv[1])
HOME = tempfile.TemporaryDirectory()


def path(name):
    return os.path.join(HOME.name, name)


def openssl(*words, **options):
    return subprocess.run(["openssl", *words], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60, **options).stdout


def make_certificates():
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *new_key, "-keyout", path("ca.key"), "-out", path("ca.crt"), "-days", "7",
            "-subj", "/O=Test/CN=Authority")
    with open(path("names"), "w") as out:
        out.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "renewed", "client"):
        openssl("req", *new_key, "-keyout", path(name + ".key"), "-out", path(name + ".csr"), "-subj",
                f"/O=Test/CN={name}")
        openssl("x509", "-req", "-in", path(name + ".csr"), "-CA", path("ca.crt"), "-CAkey", path("ca.key"),
                "-CAcreateserial", "-days", "7", "-extfile", path("names"), "-out", path(name + ".crt"))
    openssl("ec", "-in", path("server.key"), "-aes256", "-passout", "pass:sesame", "-out", path("locked.key"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


make_certificates()
TLS_PORT = free_port()
ADMIN = redis.Redis(port=PORT, decode_responses=True)
raises("no certificate, no port", redis.ResponseError, lambda: ADMIN.config_set("tls-port", TLS_PORT))
ADMIN.config_set("tls-cert-file", path("server.crt"), "tls-key-file", path("server.key"),
                 "tls-ca-cert-file", path("ca.crt"), "tls-port", TLS_PORT)
CERTIFICATE = ["--cert", path("client.crt"), "--key", path("client.key")]


def cli(*words, program="redis-cli", own=True, text=b""):
    done = subprocess.run([program, "-p", str(TLS_PORT), "--tls", "--cacert", path("ca.crt"),
                           *(CERTIFICATE if own else []), *words], input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120)
    return done.stdout.decode("utf-8", "replace").strip()


def client(**options):
    own = {"ssl_certfile": path("client.crt"), "ssl_keyfile": path("client.key")} if options.pop("own", True) else {}
    return redis.Redis(port=TLS_PORT, host="localhost", ssl=True, ssl_ca_certs=path("ca.crt"), **own, **options)


def raw(version=None):
    """A socket of Python's own, shaken hands with."""
    context = ssl.create_default_context(cafile=path("ca.crt"))
    context.load_cert_chain(path("client.crt"), path("client.key"))
    if version:
        context.minimum_version = context.maximum_version = version
    return context.wrap_socket(socket.create_connection(("127.0.0.1", TLS_PORT), timeout=60),
                               server_hostname="localhost")


with section("redis-cli"):
    equal("redis-cli", (cli("SET", "k", "v"), cli("GET", "k")), ("OK", "v"))
    check("redis-cli without a certificate", "closed" in cli("PING", own=False).lower()
          or "error" in cli("PING", own=False).lower())
    check("plain client", "Error" in subprocess.run(
        ["redis-cli", "-p", str(TLS_PORT), "PING"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=60).stdout.decode())
    commands = b"".join(b"SET pipe:%d %d\r\n" % (index, index) for index in range(20000))
    check("redis-cli --pipe", "errors: 0, replies: 20000" in cli("--pipe", text=commands))
    equal("what came through the pipe", ADMIN.get("pipe:19999"), "19999")

with section("redis-benchmark"):
    said = cli("-n", "20000", "-P", "16", "-c", "20", "-t", "set,get", "-q", program="redis-benchmark")
    check("redis-benchmark", said.count("requests per second") == 2, said)

with section("redis-py"):
    for protocol in (2, 3):
        with client(protocol=protocol) as one:
            value = os.urandom(3_000_000)
            equal(f"big value, RESP{protocol}", (one.set("big", value), one.get("big") == value), (True, True))
            pipe = one.pipeline(transaction=False)
            for index in range(5000):
                pipe.set(f"p:{index}", "x" * (index % 700))
            for index in range(5000):
                pipe.strlen(f"p:{index}")
            equal(f"pipeline, RESP{protocol}", pipe.execute()[5000:], [index % 700 for index in range(5000)])
    listener = client().pubsub()
    listener.subscribe("news")
    listener.get_message(timeout=10)
    for index in range(200):
        ADMIN.publish("news", index)
    heard = [listener.get_message(timeout=10)["data"] for _ in range(200)]
    equal("messages", heard, [b"%d" % index for index in range(200)])
    raises("no certificate", (redis.ConnectionError, ssl.SSLError), lambda: client(own=False).ping())

with section("many at once"):
    sums = {}

    def work(number):
        with client() as one:
            digest = hashlib.sha256()
            for index in range(60):
                value = bytes([index % 256]) * (index * 1700 % 90000)
                one.set(f"w:{number}:{index}", value)
                digest.update(one.get(f"w:{number}:{index}"))
            sums[number] = digest.hexdigest()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal("16 clients", (len(sums), len(set(sums.values()))), (16, 1))

with section("openssl s_client"):
    for version in ("-tls1_2", "-tls1_3"):
        said = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{TLS_PORT}", "-CAfile", path("ca.crt"), version,
             "-cert", path("client.crt"), "-key", path("client.key"), "-quiet", "-verify_return_error"],
            input=b"PING\r\nQUIT\r\n", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60).stdout
        equal(f"s_client {version}", said, b"+PONG\r\n+OK\r\n")

with section("half a connection"):
    # Answers of more than sockets hold, and an end of the requests before the first is read.
    ADMIN.set("big", "y" * 400_000)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        one = raw(version)
        one.sendall(b"GET big\r\n" * 30)
        received = 0
        while received < 30 * 400_011:
            received += len(one.recv(100_000))
        equal(f"slow reader, {version.name}", received, 30 * 400_011)
        one.sendall(b"QUIT\r\n")
        equal(f"the end in order, {version.name}", (one.recv(100), one.recv(100)), (b"+OK\r\n", b""))
        # A peer that vanishes in the middle of a record.
        broken = raw(version)
        broken.sendall(b"GET big\r\n")
        socket.socket(fileno=os.dup(broken.fileno())).sendall(b"\x17\x03\x03\x10\x00half")
        broken.close()
    equal("others go on", client().ping(), True)

with section("settings"):
    ADMIN.config_set("tls-protocols", "TLSv1.2")
    equal("version", raw().version(), "TLSv1.2")
    raises("another version", (ssl.SSLError, OSError), lambda: raw(ssl.TLSVersion.TLSv1_3))
    ADMIN.config_set("tls-protocols", "")
    equal("the best version", raw().version(), "TLSv1.3")
    before = client(single_connection_client=True)
    before.ping()
    raises("a locked key", redis.ResponseError, lambda: ADMIN.config_set("tls-key-file", path("locked.key")))
    equal("opened", ADMIN.config_set("tls-key-file-pass", "sesame", "tls-key-file", path("locked.key")), True)
    equal("with the opened key", client().ping(), True)
    for end in (".crt", ".key"):
        os.replace(path("renewed" + end), path("server" + end))
    equal("renewed", ADMIN.config_set("tls-cert-file", path("server.crt"), "tls-key-file", path("server.key"),
                                      "tls-key-file-pass", ""), True)
    subject = dict(pair[0] for pair in raw().getpeercert()["subject"])
    equal("the renewed certificate", subject["commonName"], "renewed")
    equal("connections stay", before.ping(), True)
    ADMIN.config_set("tls-auth-clients", "no")
    equal("no certificate asked for", client(own=False).ping(), True)
    ADMIN.config_set("tls-port", 0)
    raises("the port is gone", OSError, lambda: raw())
    equal("who was there goes on", before.ping(), True)

print("done")
