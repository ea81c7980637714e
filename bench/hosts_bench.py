#!/usr/bin/env python3
"""What hosts of a large site cost and how soon they know: prints a table and a line of JSON.

A real authority with ACCOUNTS accounts, KEYS registered keys and JOBS running jobs on NODES nodes, put into its store before it
serves; and real `postern-host`s on this machine. CPU time is user and system time of whole processes by the kernel's account.

  resync    a new login host, compute node and jump host take everything: seconds, CPU seconds, peak memory
  commands  `postern-host principals` and `keys` on the login host and on the compute node, process start included
  jobs      from the beginning of the call that tells of a job until the replicas of its four nodes let its account in, FOLLOWERS
            compute nodes following; at a site of SMALL accounts, since here they all are on one machine
  traffic   bytes of one host's connection to the authority: while nothing happens, for a change that concerns it, and for one that
            does not
  sshd      CPU of a login at an sshd that asks us, at one with static files, and at one that asks /bin/echo and /bin/cat, in turns;
            needs root

usage: hosts_bench.py BUILD, with in the environment PARTS (all of the above), ACCOUNTS (100000), KEYS (300000), JOBS (20000),
NODES (10000), SMALL (1000), FOLLOWERS (200), STARTS (100), RUNS (300), LOGINS (40), QUIET_S (60) and KEEP=1, which leaves the logs
"""
import json, os, re, shutil, sqlite3, subprocess, sys, tempfile, time

from centre import Centre, free_port, wait_until
from gate_world import Server

BUILD = sys.argv[1]
PARTS = os.environ.get("PARTS", "resync commands jobs traffic sshd").split()


def number(name, default):
    return int(os.environ.get(name, default))


ACCOUNTS, KEYS, JOBS, NODES = number("ACCOUNTS", 100000), number("KEYS", 300000), number("JOBS", 20000), number("NODES", 10000)
SMALL, FOLLOWERS, STARTS = number("SMALL", 1000), number("FOLLOWERS", 200), number("STARTS", 100)
RUNS, LOGINS, QUIET_S = number("RUNS", 300), number("LOGINS", 40), number("QUIET_S", 60)
NODES_OF_A_JOB = 4


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def spread(values):
    return {name: round(percentile(values, p), 2) for name, p in (("p50", 50), ("p99", 99), ("max", 100))}


def cpu_of(pid):
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)


def begin(centre, accounts, keys, jobs, nodes):
    centre.begin(fill=lambda store: subprocess.run(
        [f"{BUILD}/bench/site_make", store, str(accounts), str(keys), str(jobs), str(nodes)], check=True))
    centre.api.call("PUT", "/projects/bench/members/admin", {"role": "member"})


# ---- resync and commands ----

HOSTS = {"login": ("front", {"role": "login", "cluster": "nancy"}), "compute": ("nid000000", {"role": "compute", "cluster": "nancy"}),
         "jump": ("ela", {"role": "jump"})}


def child_cost(runs, *command):
    out = subprocess.run([f"{BUILD}/bench/child_cost", str(runs), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if out.returncode != 0:
        sys.exit(f"bench: {' '.join(command)}: {out.stderr}")
    return json.loads(out.stdout)


def resync(centre, name):
    authority, state = centre.children[0].pid, f"{centre.work}/{name}"
    before = cpu_of(authority)
    of = child_cost(1, centre.host, "sync", "--once", "--config", f"{state}.yaml")
    spent = cpu_of(authority) - before
    # What it has now, and not how long the log says it was.
    status = json.loads(subprocess.run([centre.host, "status", "--json", "--state", state], capture_output=True, text=True).stdout)
    return {"wall_s": round(of["wall_us"]["p50"] / 1e6, 2), "cpu_s": round(of["cpu_us"]["p50"] / 1e6, 2),
            "peak_mb": round(of["peak_kb"] / 1024, 1), "authority_cpu_s": round(spent, 2),
            "replica_mb": round(os.path.getsize(f"{state}/replica.db") / 2**20, 1),
            **{kind: status[kind] for kind in ("accounts", "registeredKeys", "jobs")}}


def follow(centre, name):
    """As on any host that is set up: sshd's commands find a replica whose writer lives."""
    if name not in centre.followers:
        centre.sync(name)
        wait_until(lambda: subprocess.run([centre.host, "check", "--config", f"{centre.work}/{name}.yaml"], capture_output=True).returncode == 0
                   and os.path.exists(f"{centre.work}/{name}/feed.sock"), f"{name}'s sync")


def measure_commands(centre):
    """u0 has a job on the compute node; on the login host any account will do."""
    result = {"floor": child_cost(RUNS, "/bin/true")["cpu_us"]}
    for role, user in (("login", f"u{ACCOUNTS * 7 // 9}"), ("compute", "u0")):
        state = f"{centre.work}/{HOSTS[role][0]}"
        follow(centre, HOSTS[role][0])
        commands = {"principals": [centre.host, "principals", "--state", state, user, "17", f"{user}@bench"],
                    "keys": [centre.host, "keys", "--state", state, user]}
        for name, command in commands.items():
            said = subprocess.run(command, capture_output=True, text=True).stdout
            if (user if name == "principals" else "ssh-ed25519") not in said:
                sys.exit(f"bench: {' '.join(command)} said: {said}")
            result[f"{role}_{name}"] = child_cost(RUNS, *command)["cpu_us"]
    return result


# ---- followers ----

def followers(centre, memory):
    for i in range(FOLLOWERS):
        centre.enrol(f"n{i}", f"{memory}/n{i}", role="compute", cluster="nancy")
        centre.sync(f"n{i}")
    wait_until(lambda: all(centre.said(f"sync-n{i}", "feed_snapshot") for i in range(FOLLOWERS)), "the first snapshots", 300)


class Replicas:
    """What sshd's commands would read on these hosts."""

    def __init__(self, memory, names):
        self.open = {name: sqlite3.connect(f"file:{memory}/{name}/replica.db?mode=ro", uri=True) for name in names}

    def have(self, name, job):
        return self.open[name].execute("SELECT count(*) FROM job JOIN job_node ON job_node.job = job.name WHERE job.name = ? AND node = ?",
                                       (job, name)).fetchone()[0] == 1


def measure_jobs(centre, memory):
    replicas, took, answered = Replicas(memory, [f"n{i}" for i in range(FOLLOWERS)]), [], []
    for start in range(STARTS):
        nodes = [f"n{(start * NODES_OF_A_JOB + i) % FOLLOWERS}" for i in range(NODES_OF_A_JOB)]
        missing, began = set(nodes), time.monotonic()
        centre.api.call("PUT", f"/clusters/nancy/jobs/b{start}", {"username": f"u{start % SMALL}", "nodes": nodes, "type": "shared"})
        answered.append(1000 * (time.monotonic() - began))
        while missing:
            for name in [name for name in missing if replicas.have(name, f"b{start}@nancy")]:
                took.append(1000 * (time.monotonic() - began))
                missing.remove(name)
            if time.monotonic() - began > 30:
                sys.exit(f"bench: the job never reached {missing}")
        if start == 0:
            said = subprocess.run([centre.host, "principals", "--state", f"{memory}/{nodes[0]}", "u0", "17", "u0@bench"],
                                  capture_output=True, text=True).stdout
            if not said.startswith("u0\n"):
                sys.exit(f"bench: the job's account is not let in: {said}")
        time.sleep(0.1)
    return {"followers": FOLLOWERS, "starts": STARTS, "visible_ms": spread(took), "answered_ms": spread(answered)}


def bytes_of(centre, name):
    """Received and sent by that host on its connection, by the kernel's account, TLS included."""
    pid = centre.followers[name].pid
    out = subprocess.run(["ss", "-tinpHO", "dst", f"127.0.0.1:{centre.port}"], check=True, capture_output=True, text=True).stdout
    for line in out.splitlines():
        if f"pid={pid}," in line:
            return sum(int(re.search(rf"{what}:(\d+)", line).group(1)) for what in ("bytes_received", "bytes_acked"))
    sys.exit(f"bench: {name} has no connection to the authority")


def measure_traffic(centre):
    """n0 stands for all; a change of a job concerns its nodes alone, one of an account all."""
    api, times = centre.api, 20

    def spent(change):
        time.sleep(0.5)
        before = bytes_of(centre, "n0")
        for i in range(times):
            change(i)
            time.sleep(0.2)
        return round((bytes_of(centre, "n0") - before) / times, 1)

    def start(name, node):
        return lambda i: api.call("PUT", f"/clusters/nancy/jobs/{name}{i}", {"username": "u1", "nodes": [node], "type": "shared"})

    result = {"own_job": spent(start("own", "n0")), "other_job": spent(start("other", "n1")),
              "account": spent(lambda i: api.call("PUT", f"/accounts/u{i}", {"disabled": True}))}
    before, began = bytes_of(centre, "n0"), time.monotonic()
    time.sleep(QUIET_S)
    result["idle_per_s"] = round((bytes_of(centre, "n0") - before) / (time.monotonic() - began), 2)
    return result


# ---- sshd ----

def start_sshd(centre, safe, name, authentication):
    port = free_port()
    with open(f"{safe}/{name}.conf", "w") as f:
        f.write(f"{authentication}\nPort {port}\nListenAddress 127.0.0.1\nUsePAM no\nPidFile none\nStrictModes no\nLogLevel ERROR\n"
                f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nHostKey {safe}/host_key\n"
                f"TrustedUserCAKeys {centre.work}/front/user_ca.pub\nRevokedKeys {centre.work}/front/revoked.krl\n")
    mounts = "".join(f"mount --bind {safe}/{file} /etc/{file} && " for file in ("passwd", "shadow"))
    command = ["unshare", "-m", "sh", "-c", f"{mounts}exec /usr/sbin/sshd -D -e -f {safe}/{name}.conf"]
    return Server(name, "admin", port, centre.start(command, name))


def prepare_sshd(centre, safe):
    """A user who is the administrator's account, a certificate and a registered key of hers, and her static files."""
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    for file, line in (("passwd", f"admin:x:42001:42001::{safe}:/bin/sh\n"), ("shadow", "admin:*:19000:0:99999:7:::\n")):
        shutil.copy(f"/etc/{file}", f"{safe}/{file}")
        with open(f"{safe}/{file}", "a") as f:
            f.write(line)
    for key in ("host_key", "certified", "registered"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", f"{safe}/{key}"], check=True)
    public = {key: open(f"{safe}/{key}.pub").read().strip() for key in ("certified", "registered")}
    signed = centre.api.call("POST", "/ssh-keys/sign", {"publicKey": public["certified"], "duration": "1d"})
    centre.api.call("POST", "/keys", {"publicKey": public["registered"], "name": "bench"})
    for name, text in (("certified-cert.pub", signed["sshKey"]["publicKey"]), ("principals", "admin"), ("authorized_keys", public["registered"])):
        with open(f"{safe}/{name}", "w") as f:
            f.write(text.strip() + "\n")
    follow(centre, "front")
    wait_until(lambda: "ssh-ed25519" in subprocess.run([centre.host, "keys", "--state", f"{centre.work}/front", "admin"],
                                                       capture_output=True, text=True).stdout, "the administrator's key")
    for program in ("postern-host", "postern-host-sync"):
        shutil.copy(f"{os.path.dirname(centre.host)}/{program}", safe)


def logins(server, safe, key, count, besides):
    """CPU milliseconds of the server's whole tree for each login, and of the process `besides` that serves it."""
    command = ["ssh", "-F", "none", "-p", str(server.port), "-l", "admin", "-i", f"{safe}/{key}", "-o", "IdentitiesOnly=yes", "-o",
               "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
               "-o", "LogLevel=ERROR", "127.0.0.1", "true"]
    server.await_idle()
    before = server.cpu_s() + (cpu_of(besides) if besides else 0)
    for _ in range(count):
        if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
            sys.exit(f"bench: {server.name} does not let in by {key} (KEEP=1 keeps its log)")
    server.await_idle()
    spent = server.cpu_s() + (cpu_of(besides) if besides else 0) - before
    return 1000 * spent / count


def measure_sshd(centre):
    if os.getuid() != 0:
        return None
    safe = tempfile.mkdtemp(prefix="posterngate-bench.", dir="/run")  # sshd asks no command whose path others may write
    os.chmod(safe, 0o755)
    servers = {}
    try:
        prepare_sshd(centre, safe)
        ours = subprocess.run([f"{safe}/postern-host", "sshd-config", "--config", f"{centre.work}/front.yaml"], check=True,
                              capture_output=True, text=True).stdout
        asked = "\n".join(line for line in ours.splitlines() if line.startswith("Authorized"))
        sync = centre.followers["front"].pid  # which keeps the records of logins
        servers["static"] = start_sshd(centre, safe, "static", f"AuthorizedPrincipalsFile {safe}/principals\nAuthorizedKeysFile {safe}/authorized_keys")
        # What sshd itself spends on asking any program at all, for which it forks, twice a login.
        servers["any"] = start_sshd(centre, safe, "any", "AuthorizedPrincipalsCommand /bin/echo admin\nAuthorizedPrincipalsCommandUser nobody\n"
                                    f"AuthorizedKeysCommand /bin/cat {safe}/authorized_keys\nAuthorizedKeysCommandUser nobody")
        servers["ours"] = start_sshd(centre, safe, "ours", asked)
        result = {}
        for key in ("certified", "registered"):
            samples = {name: [] for name in servers}
            for _ in range(5):  # in turns, so that a change of the machine meets both
                for name, server in servers.items():
                    samples[name].append(logins(server, safe, key, max(1, LOGINS // 5), sync if name == "ours" else None))
            of = {name: sorted(values)[len(values) // 2] for name, values in samples.items()}
            result[key] = {**{name: round(value, 2) for name, value in of.items()}, "ratio": round(of["ours"] / of["static"], 3),
                           "ratio_any": round(of["ours"] / of["any"], 3)}
        return result
    finally:
        for server in servers.values():
            server.stop()
        shutil.rmtree(safe)


# ---- all of it ----

def large_site(result):
    work = tempfile.mkdtemp(prefix="posterngate-bench.", dir="/var/tmp")
    os.chmod(work, 0o755)
    centre = Centre(BUILD, work)
    try:
        begin(centre, ACCOUNTS, KEYS, JOBS, NODES)
        for name, host in HOSTS.values():
            centre.enrol(name, f"{work}/{name}", **host)
        resyncs = {role: resync(centre, name) for role, (name, _) in HOSTS.items()}
        if "resync" in PARTS:
            result["resync"] = resyncs
        if "commands" in PARTS:
            result["commands_cpu_us"] = measure_commands(centre)
        if "sshd" in PARTS:
            result["sshd_login_cpu_ms"] = measure_sshd(centre)
    finally:
        centre.stop()
        if os.environ.get("KEEP") != "1":
            shutil.rmtree(work)


def followed_site(result):
    work, memory = (tempfile.mkdtemp(prefix="posterngate-bench.", dir=place) for place in ("/var/tmp", "/dev/shm"))
    os.chmod(work, 0o755)
    centre = Centre(BUILD, work)
    try:
        begin(centre, SMALL, 3 * SMALL, SMALL, SMALL)
        followers(centre, memory)
        if "jobs" in PARTS:
            result["job_start"] = measure_jobs(centre, memory)
        if "traffic" in PARTS:
            result["traffic_bytes"] = measure_traffic(centre)
    finally:
        centre.stop()
        if os.environ.get("KEEP") != "1":
            shutil.rmtree(work)
            shutil.rmtree(memory)


def print_table(result):
    for role, of in result.get("resync", {}).items():
        print(f"resync of a {role} host: {of['accounts']} accounts, {of['registeredKeys']} keys, {of['jobs']} jobs in {of['wall_s']} s, CPU {of['cpu_s']} s (the authority's "
              f"{of['authority_cpu_s']}), peak {of['peak_mb']} MB, replica {of['replica_mb']} MB")
    for name, of in result.get("commands_cpu_us", {}).items():
        print(f"CPU of {name.replace('_', ' host, '):24} p50 {of['p50']:6} µs  p99 {of['p99']:6} µs")
    if "job_start" in result:
        of = result["job_start"]
        print(f"from the call to a job's nodes, {of['followers']} hosts following, ms: {of['visible_ms']}; the call's answer: {of['answered_ms']}")
    if "traffic_bytes" in result:
        of = result["traffic_bytes"]
        print(f"bytes of one host: {of['own_job']} for its own job, {of['other_job']} for another's, {of['account']} for an account's end, "
              f"{of['idle_per_s']} a second while nothing happens")
    for key, of in (result.get("sshd_login_cpu_ms") or {}).items():
        print(f"CPU of an sshd login with a {key} key: static files {of['static']} ms, a program that prints one {of['any']} ms, "
              f"ours {of['ours']} ms: {of['ratio']} of the first, {of['ratio_any']} of the second")


def main():
    result = {"bench": "hosts", "accounts": ACCOUNTS, "keys": KEYS, "jobs": JOBS, "nodes": NODES, "load": os.getloadavg()[0]}
    if {"resync", "commands", "sshd"} & set(PARTS):
        large_site(result)
    if {"jobs", "traffic"} & set(PARTS):
        followed_site(result)
    print_table(result)
    print(json.dumps(result))


main()
