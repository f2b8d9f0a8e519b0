"""What bench/run and bench/kafka.py share: the program under measure, floors, and the table."""

import datetime
import http.client
import json
import os
import pathlib
import selectors
import signal
import socket
import statistics
import subprocess
import time

DAG = "stock_data_ingestion"
QUOTES_A_DAY = 40_000  # where histories of different length are compared


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def sync_floor(folder, size, count):
    """Seconds of each `write` of `size` bytes with its fdatasync, in a file written before."""
    path = folder / "floor"
    block = os.urandom(size)
    took = []
    with open(path, "wb", buffering=0) as file:
        file.write(bytes(size * count))
        os.fsync(file)
        file.seek(0)
        for _ in range(count):
            began = time.monotonic()
            file.write(block)
            os.fdatasync(file)
            took.append(time.monotonic() - began)
    path.unlink()
    return took


def messages(release, count, first):
    """NDJSON of `count` quotes of bench_loader after the first `first`, QUOTES_A_DAY each weekday."""
    return subprocess.run([release / "bench_loader", "print", str(count), str(first), str(QUOTES_A_DAY)],
                          capture_output=True, check=True).stdout


class Tapeline:
    """The program on one data directory."""

    def __init__(self, release, folder, environment=None):
        self.program, self.folder = release / "tapeline", folder
        self.environment = {**os.environ, **(environment or {})}

    def call(self, *words, data=None):
        done = subprocess.run([self.program, *words, "--data-dir", self.folder], input=data, env=self.environment,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"tapeline {' '.join(words)}: {done.stderr.decode()}")
        return done.stdout.decode()

    def objects(self, *words, data=None):
        return json.loads(self.call(*words, "--json", data=data))

    def up(self, *words):
        """Starts it; answers the process, its port, and the seconds to the page's first byte."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        began = time.monotonic()
        process = subprocess.Popen(
            [self.program, "up", "--listen", f"127.0.0.1:{port}", "--data-dir", self.folder, *words],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                page = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                page.request("GET", "/")
                page.getresponse().read(1)
                took = time.monotonic() - began
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit("tapeline up ended") from None
                time.sleep(0.002)
        while True:  # the page comes before the data are open
            ready = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            ready.request("GET", "/-/ready")
            if ready.getresponse().status == 200:
                return process, port, took
            time.sleep(0.01)

    def runs(self):
        return {row["run_id"]: row for row in self.objects("dag", "runs", DAG, "--limit", "100")}

    def tasks(self, run_id):
        return {row["task"]: seconds_of(row) for row in self.objects("dag", "tasks", DAG, run_id)}


def quotes_file(release, folder, count):
    """A CSV of `count` quotes of bench_loader."""
    file = folder / "quotes.csv"
    with open(file, "wb") as out:
        subprocess.run([release / "bench_loader", "csv", str(count)], stdout=out, check=True)
    return file


def imported(tapeline, file, count):
    """Seconds from the start of `tapeline import` until all is sent, all is in raw, and the models are tested."""
    began = time.time()
    done = tapeline.objects("import", str(file))
    whole = time.time() - began
    if done["loaded"] != count:
        raise SystemExit(f"{done['loaded']} of {count} loaded")
    tasks = {row["task"]: row for row in tapeline.objects("dag", "tasks", DAG, done["run_id"])}
    return instant(tasks["consume"]["start"]) - began, instant(tasks["load"]["end"]) - began, whole


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def seconds_of(row):
    return instant(row["end"]) - instant(row["start"]) if row.get("end") and row.get("start") else 0.0


def stop(process):
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


class Table:
    def __init__(self):
        self.rows = []

    def add(self, what, value, beside):
        self.rows.append((what, value, beside))
        print(f"{what:<52} {value:<34} {beside}", flush=True)


def middle(values, form="{:,.0f}"):
    """The median of what was measured, or a dash."""
    values = [value for value in values if value is not None]
    return form.format(statistics.median(values)) if values else "-"


def new_directory(release, folder, count):
    """A data directory whose topic has the first `count` messages."""
    tapeline = Tapeline(release, folder)
    process, _, _ = tapeline.up("--feed", "none")
    stop(process)
    subprocess.run([release / "bench_loader", "fill", folder / "log", str(count)], check=True)
    return tapeline


class Streams:
    """Clients of /api/v1/stream, the first few of which tell how late each event came."""

    def __init__(self, port, clients, measured):
        self.selector = selectors.DefaultSelector()
        for i in range(clients):
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            self.selector.register(client, selectors.EVENT_READ, bytearray() if i < measured else None)

    def lateness(self, seconds):
        began, late = time.monotonic(), []
        while time.monotonic() - began < seconds:
            for key, _ in self.selector.select(1):
                came = key.fileobj.recv(1 << 16)
                if key.data is None:
                    continue
                now = time.time()
                key.data.extend(came)
                *lines, rest = bytes(key.data).split(b"\n")
                key.data[:] = rest
                for line in lines:
                    if line.startswith(b"data:") and b'"received_at":"' in line:
                        late.append(now - instant(line.split(b'"received_at":"', 1)[1].split(b'"', 1)[0].decode()))
        return late

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()


def simulated(tapeline, rate, clients, seconds):
    """The simulator: how late clients' sockets are after `received_at`, the share of a core, and the memory."""
    process, port, _ = tapeline.up("--rate", str(rate))
    time.sleep(10)  # the opening history is loaded
    streams = Streams(port, clients, min(clients, 5))
    streams.lateness(2)  # the first are the state at connecting
    cpu, began = cpu_seconds(process.pid), time.monotonic()
    late = streams.lateness(seconds)
    cpu = (cpu_seconds(process.pid) - cpu) / (time.monotonic() - began)
    memory = resident_mb(process.pid)
    streams.close()
    stop(process)
    return late, cpu, memory


def quantiles(late, form=".2f"):
    return f"p50 {statistics.median(late) * 1000:{form}} ms, p99 {percentile(late, 0.99) * 1000:.1f} ms"
