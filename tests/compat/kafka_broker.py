#!/usr/bin/env python3
"""A real Apache Kafka for tests: no Docker, no Zookeeper, loopback only, free ports, nothing left behind.

    kafka_broker.py [--version 3.4.0] [--brokers N] [--tls] [--sasl] [--set KEY=VALUE]...

Runs brokers in KRaft mode until Ctrl-C, and prints what clients need. As a module: `with Kafka(folder) as kafka`.

The jars come from the Maven repository that this machine's Maven is set up for, once, into third_party/kafka; the
programs are a JDK and mvn (`make deps-real`). Brokers die with the script that started them, whatever ends it.
"""
import argparse
import ctypes
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("support", "e2e")]
from certificates import Certificates
from client import free_port

VERSIONS = ("3.4.0", "4.3.1")
USER, PASSWORD = "tapeline", "tapeline-secret"
# What a broker needs beside its own artifact to write its log: 3.x speaks log4j 1, 4.x log4j 2.
LOGGING = {3: ["ch.qos.reload4j:reload4j:1.2.19", "org.slf4j:slf4j-reload4j:1.7.36"],
           4: ["org.apache.logging.log4j:log4j-api:2.25.4", "org.apache.logging.log4j:log4j-core:2.25.4",
               "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"]}
LOG4J = """log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %m (%c)%n
"""
LOG4J2 = """rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %m (%c)%n
"""


class NoKafka(Exception):
    """Why there is no broker to be had here."""


def major(version):
    return int(version.split(".")[0])


def fetch(version):
    """The folder with the jars of a version."""
    jars = ROOT / "third_party" / "kafka" / version
    if jars.is_dir():
        return jars
    if not shutil.which("mvn"):
        raise NoKafka("mvn is not installed (make deps-real)")
    artifacts = [f"org.apache.kafka:kafka_2.13:{version}", *LOGGING[major(version)]]
    if major(version) >= 4:  # its command line tools are an artifact of their own, which would bring Connect along
        artifacts.append(f"org.apache.kafka:kafka-tools:{version}")
    leave_out = "<exclusions><exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId></exclusion></exclusions>"
    dependencies = "".join("<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>{}</dependency>"
                           .format(*artifact.split(":"), leave_out) for artifact in artifacts)
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent) as work:
        pom = pathlib.Path(work) / "pom.xml"
        pom.write_text(f"<project><modelVersion>4.0.0</modelVersion><groupId>tests</groupId><artifactId>kafka</artifactId>"
                       f"<version>1</version><packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>")
        done = subprocess.run(["mvn", "-q", "-B", "--strict-checksums", "-f", pom, "dependency:copy-dependencies",
                               "-DincludeScope=runtime", f"-DoutputDirectory={work}/jars"], capture_output=True, text=True)
        if done.returncode:
            raise NoKafka(f"Kafka {version} could not be fetched: {(done.stdout + done.stderr).strip()[-500:]}")
        try:
            os.rename(f"{work}/jars", jars)
        except OSError:
            if not jars.is_dir():  # else another run was faster
                raise
    return jars


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def brokers_known(host, port):
    """How many brokers the one at a port knows of: the answer to a Metadata request, version 4, for no topics."""
    request = struct.pack(">hhihi?", 3, 4, 1, -1, 0, False)
    try:
        with socket.create_connection((host, port), 1) as connection:
            connection.settimeout(2)
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = b""
            while len(answer) < 16:
                part = connection.recv(16 - len(answer))
                if not part:
                    return 0
                answer += part
            return struct.unpack(">iiii", answer)[3]  # size, correlation, throttle time, number of brokers
    except OSError:
        return 0


class Broker:
    def __init__(self, number, home, ports):
        self.number, self.home, self.ports, self.process = number, home, ports, None
        self.properties, self.log = home / "server.properties", home / "broker.log"

    def running(self):
        return self.process is not None and self.process.poll() is None


class Kafka:
    """Brokers in a folder. `bootstrap` is their address without login; `sasl` and `tls` where they were asked for.

    They listen at `host`, and are started by way of `inside`: a network namespace's address, and the words that lead there.
    """

    def __init__(self, folder, version="3.4.0", brokers=1, sasl=False, tls=False, settings=(), host="127.0.0.1", inside=()):
        if not shutil.which("java"):
            raise NoKafka("java is not installed (make deps-real)")
        self.folder, self.version, self.jars = pathlib.Path(folder).resolve(), version, fetch(version)
        self.with_sasl, self.with_tls, self.settings, self.host, self.inside = sasl, tls, list(settings), host, list(inside)
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = [free_port() for _ in range(4 * brokers)]
        self.brokers = [Broker(i + 1, self.folder / str(i + 1), ports[4 * i:4 * i + 4]) for i in range(brokers)]
        self.bootstrap, self.sasl, self.tls = (",".join(f"{host}:{broker.ports[at]}" for broker in self.brokers) for at in (0, 2, 3))
        # SCRAM without Zookeeper came with 3.5.
        self.has_scram = tuple(map(int, version.split("."))) >= (3, 5)
        self.major = major(version)
        self._prepare()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _prepare(self):
        (self.folder / "log4j.properties").write_text(LOG4J)
        (self.folder / "log4j2.properties").write_text(LOG4J2)
        if self.with_tls:
            made = Certificates(self.folder / "tls")
            self.ca = made.authority
            made.context("good")
            certificate, key = self.folder / "tls" / "good.pem", self.folder / "tls" / "good.key"
            (self.folder / "tls" / "server.pem").write_text(key.read_text() + certificate.read_text())
        cluster = "t" + secrets.token_urlsafe(16)[1:22]
        for broker in self.brokers:
            broker.home.mkdir()
            broker.properties.write_text("\n".join(self._properties(broker)) + "\n")
            scram = []
            if self.with_sasl and self.has_scram:
                for kind in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                    scram += ["--add-scram", f"{kind}=[name={USER},password={PASSWORD}]"]
            done = subprocess.run([*self._java("-XX:TieredStopAtLevel=1"), "kafka.tools.StorageTool", "format", "-t", cluster,
                                   "-c", broker.properties, *scram], capture_output=True, text=True)
            if done.returncode:
                raise NoKafka(f"formatting broker {broker.number}: {(done.stdout + done.stderr).strip()[-800:]}")

    def _properties(self, broker):
        plain, controller, sasl, tls = broker.ports
        listeners = [f"PLAINTEXT://{self.host}:{plain}"]
        protocols = ["CONTROLLER:PLAINTEXT", "PLAINTEXT:PLAINTEXT"]
        if self.with_sasl:
            listeners.append(f"SASL://{self.host}:{sasl}")
            protocols.append("SASL:SASL_SSL" if self.with_tls else "SASL:SASL_PLAINTEXT")
        if self.with_tls:
            listeners.append(f"TLS://{self.host}:{tls}")
            protocols.append("TLS:SSL")
        replicas = min(3, len(self.brokers))
        lines = {
            "process.roles": "broker,controller", "node.id": broker.number,
            "controller.quorum.voters": ",".join(f"{one.number}@127.0.0.1:{one.ports[1]}" for one in self.brokers),
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join([*listeners, f"CONTROLLER://127.0.0.1:{controller}"]),
            "advertised.listeners": ",".join(listeners), "listener.security.protocol.map": ",".join(protocols),
            "inter.broker.listener.name": "PLAINTEXT", "log.dirs": broker.home / "data", "num.partitions": 1,
            "default.replication.factor": replicas, "min.insync.replicas": 2 if replicas > 1 else 1,
            "offsets.topic.replication.factor": replicas, "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": replicas, "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1, "group.initial.rebalance.delay.ms": 0,
            # One that was killed may come back only when its old session has run out: nine seconds as Kafka comes.
            "broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500, "auto.create.topics.enable": "false",
        }
        if self.major >= 4:
            lines |= {"share.coordinator.state.topic.replication.factor": replicas, "share.coordinator.state.topic.min.isr": 1}
        if self.with_sasl:
            kinds = ["PLAIN", *(["SCRAM-SHA-256", "SCRAM-SHA-512"] if self.has_scram else [])]
            lines["listener.name.sasl.sasl.enabled.mechanisms"] = ",".join(kinds)
            lines["listener.name.sasl.plain.sasl.jaas.config"] = (
                f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";')
            for kind in kinds[1:]:
                lines[f"listener.name.sasl.{kind.lower()}.sasl.jaas.config"] = (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;")
        if self.with_tls:
            lines |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": self.folder / "tls" / "server.pem"}
        return [f"{name}={value}" for name, value in lines.items()] + self.settings

    def _java(self, *options):
        return ["java", *options, "-Djava.awt.headless=true", f"-Dlog4j.configuration=file:{self.folder}/log4j.properties",
                f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties", "-cp", f"{self.jars}/*"]

    def start(self, seconds=90):
        """Starts those that do not run, and waits until each knows all that do."""
        for broker in self.brokers:
            if not broker.running():
                with open(broker.log, "ab") as log:
                    broker.process = subprocess.Popen(
                        [*self.inside, *self._java("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC"), "kafka.Kafka", broker.properties],
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=die_with_parent)
        deadline = time.monotonic() + seconds
        for broker in self.brokers:
            while brokers_known(self.host, broker.ports[0]) != len(self.brokers):
                if not broker.running() or time.monotonic() > deadline:
                    raise NoKafka(f"broker {broker.number} does not answer: {broker.log.read_text()[-800:]}")
                time.sleep(0.2)

    def stop(self, number=None, kill=False):
        """Ends one broker, or all of them; with SIGKILL as a crash would."""
        chosen = [broker for broker in self.brokers if broker.running() and number in (None, broker.number)]
        for broker in chosen:
            broker.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        for broker in chosen:
            try:
                broker.process.wait(30)
            except subprocess.TimeoutExpired:
                broker.process.kill()
                broker.process.wait()

    def kill(self, number=None):
        self.stop(number, kill=True)

    def segments(self, topic, partition=0, number=1):
        """The segment files of a partition, oldest first."""
        return sorted((self.brokers[number - 1].home / "data" / f"{topic}-{partition}").glob("*.log"))

    def tool(self, name, *words, **more):
        """Runs one of Kafka's own command line tools, where this version has it."""
        for place in {"TopicCommand": ("kafka.admin", "org.apache.kafka.tools"), "DeleteRecordsCommand": ("kafka.admin", "org.apache.kafka.tools"),
                      "ConsoleProducer": ("kafka.tools", "org.apache.kafka.tools")}[name]:
            done = subprocess.run([*self._java("-XX:TieredStopAtLevel=1", "-Xmx128m"), f"{place}.{name}", *map(str, words)], capture_output=True,
                                  text=True, **more)
            if "ClassNotFoundException" not in done.stderr:
                return done
        return done

    def controller(self):
        """The number of the broker that controls the others, by what those that run have noted; None where they know of none."""
        notes = [json.loads((broker.home / "data" / "__cluster_metadata-0" / "quorum-state").read_text()) for broker in self.brokers if broker.running()]
        newest = max(notes, key=lambda note: note["leaderEpoch"])
        return newest["leaderId"] if newest["leaderId"] > 0 else None

    def topics(self, *words):
        done = self.tool("TopicCommand", "--bootstrap-server", self.bootstrap, *words)
        if done.returncode:
            raise RuntimeError(f"TopicCommand {words[0]}: {(done.stdout + done.stderr)[-400:]}")


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--version", default="3.4.0")
    words.add_argument("--brokers", type=int, default=1)
    words.add_argument("--sasl", action="store_true")
    words.add_argument("--tls", action="store_true")
    words.add_argument("--set", action="append", default=[])
    given = words.parse_args()
    if not re.fullmatch(r"[34]\.\d+\.\d+", given.version):
        words.error("a version is like 3.4.0")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory() as folder:
        try:
            with Kafka(folder, given.version, given.brokers, given.sasl, given.tls, given.set) as kafka:
                print(f"export KAFKA_BOOTSTRAP_SERVERS={kafka.bootstrap}", flush=True)
                if given.sasl:
                    print(f"# SASL at {kafka.sasl}, user {USER}, password {PASSWORD}", flush=True)
                if given.tls:
                    print(f"# TLS at {kafka.tls}, authority {kafka.ca}", flush=True)
                print("# Ctrl-C ends it and removes its data", flush=True)
                signal.pause()
        except KeyboardInterrupt:
            pass
        except NoKafka as why:
            print(f"kafka_broker.py: {why}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
