#!/usr/bin/env python3
"""From a revocation to the KRL that sshd reads, on many hosts at once.

Starts an authority and HOSTS real `postern-host sync` processes (each enrolled, each with its own state directory, all on
this machine's cores), then revokes certificates one at a time. Time runs from before the request is sent to the moment at
which inotify tells that a host's revoked.krl was replaced. Prints a table and a line of JSON.

Real hosts have a disk each; here there is one, and two thirds of a host's CPU time is the file system's (new file, fsync,
rename). So the authority and ON_DISK hosts keep their state on the disk, and the others theirs in memory; both kinds are
told apart in the result. ON_DISK=200 puts all of them on the one disk.

usage: revoke_bench.py BUILD [HOSTS [REVOCATIONS]]
"""
import ctypes, json, os, select, shutil, struct, subprocess, sys, tempfile, time

from centre import Centre, wait_until

BUILD = sys.argv[1]
HOSTS = int(sys.argv[2]) if len(sys.argv) > 2 else 200
REVOCATIONS = int(sys.argv[3]) if len(sys.argv) > 3 else 40
ON_DISK = min(int(os.environ.get("ON_DISK", "10")), HOSTS)
# Between two revocations the hosts take hold of the feed again. It is this long because ext4 will not reuse an inode within
# five seconds of its deletion: 200 hosts that replace their files in quick succession on ONE disk, as they never do, spend
# a sixth of their time in looking for a free one.
GAP_S = float(os.environ.get("GAP", "2"))
IN_MOVED_TO = 0x80
libc = ctypes.CDLL(None, use_errno=True)


def enrol_hosts(centre, work, memory):
    api = centre.api
    api.call("POST", "/clusters", {"name": "daint", "address": "127.0.0.1", "port": 22})
    api.call("POST", "/projects", {"name": "bench"})
    api.call("PUT", "/projects/bench/clusters/daint")
    api.call("PUT", "/projects/bench/members/admin", {"role": "member"})
    dirs = []
    for i in range(HOSTS):
        dirs.append(f"{work if i < ON_DISK else memory}/h{i}")
        centre.enrol(f"n{i}", dirs[i], role="login", cluster="daint")
    return dirs


def start_hosts(centre):
    for i in range(HOSTS):
        centre.sync(f"n{i}")
    wait_until(lambda: all(centre.said(f"sync-n{i}", "feed_snapshot") for i in range(HOSTS)), "the first snapshots")


def watch(dirs):
    fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    return fd, {libc.inotify_add_watch(fd, d.encode(), IN_MOVED_TO): d for d in dirs}


def replaced(fd, names):
    """The hosts whose KRL was replaced since the last call."""
    hosts, at = set(), 0
    try:
        data = os.read(fd, 1 << 20)
    except BlockingIOError:
        return hosts
    while at < len(data):
        wd, _, _, length = struct.unpack_from("iIII", data, at)
        if data[at + 16:at + 16 + length].rstrip(b"\0") == b"revoked.krl":
            hosts.add(names[wd])
        at += 16 + length
    return hosts


def cpu_of(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(centre, dirs):
    fd, names = watch(dirs)
    api, children = centre.api, centre.children
    key = open(f"{centre.work}/n0.key.pub").read().strip()
    serials = [api.call("POST", "/ssh-keys/sign", {"publicKey": key, "duration": "1d"})["sshKey"]["serialNumber"]
               for _ in range(REVOCATIONS)]
    wait_until(lambda: not replaced(fd, names) and not select.select([fd], [], [], 1)[0], "quiet")
    before, disk, every, last = [cpu_of(c.pid) for c in children], [], [], []
    on_disk = set(dirs[:ON_DISK])
    for serial in serials:
        began, missing = time.monotonic(), set(dirs)
        api.call("PUT", "/ssh-keys/revoke", {"serialNumber": serial, "reason": "benchmark"})
        while missing:
            if not select.select([fd], [], [], 30)[0]:
                sys.exit(f"revoke_bench: {len(missing)} hosts never got the revocation")
            now = time.monotonic()
            got = replaced(fd, names) & missing
            every += [now - began] * len(got)
            disk += [now - began] * len(got & on_disk)
            missing -= got
        last.append(now - began)
        time.sleep(GAP_S)
    cpu = [cpu_of(c.pid) - b for c, b in zip(children, before)]
    for d in dirs:
        if subprocess.run(["ssh-keygen", "-Qlf", f"{d}/revoked.krl"], capture_output=True, text=True).stdout.count("serial: ") == 0:
            sys.exit(f"revoke_bench: {d}/revoked.krl lists nothing")
    return disk, every, last, cpu[0] / REVOCATIONS, sum(cpu[1:]) / REVOCATIONS / HOSTS


def percentile(values, p):
    values = sorted(values)
    return round(1000 * values[min(len(values) - 1, int(len(values) * p / 100))], 2)


def main():
    work = tempfile.mkdtemp(prefix="posterngate-bench.", dir="/var/tmp")
    memory = tempfile.mkdtemp(prefix="posterngate-bench.", dir="/dev/shm")
    os.chmod(work, 0o755)
    centre = Centre(BUILD, work)
    try:
        centre.begin()
        dirs = enrol_hosts(centre, work, memory)
        start_hosts(centre)
        disk, every, last, authority_cpu, host_cpu = measure(centre, dirs)
    finally:
        centre.stop()
        if os.environ.get("KEEP") != "1":
            shutil.rmtree(work)
            shutil.rmtree(memory)
    result = {"bench": "revoke", "hosts": HOSTS, "on_disk": ON_DISK, "revocations": REVOCATIONS,
              "disk_krl_ms": {p: percentile(disk, v) for p, v in (("p50", 50), ("p99", 99), ("max", 100))},
              "krl_ms": {p: percentile(every, v) for p, v in (("p50", 50), ("p99", 99), ("max", 100))},
              "last_host_ms": {p: percentile(last, v) for p, v in (("p50", 50), ("p99", 99), ("max", 100))},
              "cpu_ms": {"authority": round(authority_cpu * 1000, 2), "host": round(host_cpu * 1000, 2)}}
    print(f"{HOSTS} real hosts, {ON_DISK} of them on disk, and the authority on {os.cpu_count()} cores; "
          f"{REVOCATIONS} revocations; milliseconds")
    print(f"{'':26}{'p50':>9}{'p99':>9}{'max':>9}")
    for name, label in (("disk_krl_ms", "request to KRL, on disk"), ("krl_ms", "request to KRL, any host"), ("last_host_ms", "request to the last KRL")):
        print(f"{label:26}{result[name]['p50']:9}{result[name]['p99']:9}{result[name]['max']:9}")
    print(f"CPU of one revocation: authority {result['cpu_ms']['authority']}, each host {result['cpu_ms']['host']}")
    print(json.dumps(result))


main()
