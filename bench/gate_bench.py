#!/usr/bin/env python3
"""postern-gate and OpenSSH's sshd as jump hosts, side by side on this machine: prints a table and a line of JSON.

CPU time is the server's alone, user and system time of its whole process tree by the operating system's account; clients and
target are other processes and do not count. The clients are ours (bench/gate_load.c) for both servers and show an Ed25519
certificate of a real authority, whose feed the gate follows through a real `postern-host sync`. Where the exchange is one that
only OpenSSH has, and for the time that a user sees, the client is `ssh`.

usage: gate_bench.py BUILD, with in the environment
  PARTS    of: logins leg relay memory held burst revoke (all)
  SERVERS  of: sshd gate (both)
  ROUNDS   how often each relay is measured, the median counts (3); MEGABYTES of each (300)
  LOGINS   of the gate for each figure (2000); sshd gets a fiftieth
  KEEP=1   leaves the logs
"""
import json, os, resource, shutil, statistics, subprocess, sys, tempfile, time

from gate_world import DESCRIPTORS_BESIDES, HELD, TARGET_ADDRESS, Clients, World, place, raise_descriptors, sessions_max

PARTS = os.environ.get("PARTS", "logins leg relay memory held burst revoke").split()
SERVERS = os.environ.get("SERVERS", "sshd gate").split()
ROUNDS = int(os.environ.get("ROUNDS", "3"))
MEGABYTES = int(os.environ.get("MEGABYTES", "300"))
LOGINS = int(os.environ.get("LOGINS", "2000"))
LEGS = int(os.environ.get("LEGS", "25"))
IDLE = {"gate": 2000, "sshd": 50}
BURST = 1000
UNSEEN = 1000
REVOKED_OF, REVOKED = 1000, 200
CIPHERS = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"]
PQ = {"sshd": "sntrup761x25519-sha512@openssh.com", "gate": "mlkem768x25519-sha256"}
CONCURRENT = 8


def spent(server, work):
    """What the server spends until it is idle again, and the result of the work."""
    server.await_idle()
    before = server.cpu_s()
    result = work()
    server.await_idle()
    return server.cpu_s() - before, result


def ssh_leg(world, server, kex):
    """Seconds from the start of `ssh -W` to the first byte of what is behind the jump host, and those that ssh itself was
    busy."""
    command = ["ssh", "-F", "none", "-p", str(server.port), "-l", server.user, "-i", world.key, "-o",
               f"CertificateFile={world.certificate}", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
               "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
               "-o", f"KexAlgorithms={kex}", "-W", f"{TARGET_ADDRESS}:{world.target_port}", "127.0.0.1"]
    began = time.monotonic()
    ssh = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    ssh.stdin.write(b"D" + (1).to_bytes(8, "big"))
    ssh.stdin.flush()
    if len(ssh.stdout.read(1)) != 1:
        raise SystemExit(f"bench: ssh -W through {server.name} failed")
    took = time.monotonic() - began
    ssh.stdin.close()
    usage = os.wait4(ssh.pid, 0)[2]
    ssh.returncode = 0
    ssh.stdout.close()
    return took, usage.ru_utime + usage.ru_stime


def sign_many(world, count):
    """A file of so many certificates, and what the authority said of each."""
    signed = [world.sign() for _ in range(count)]
    certificates = f"{world.work}/certificates"
    with open(certificates, "w") as f:
        f.write("".join(key["publicKey"].strip() + "\n" for key in signed))
    return certificates, signed


def measure_logins(world, server):
    """CPU milliseconds of one login, by exchange and by how many are under way at once."""
    result = {}
    count = LOGINS if server.name == "gate" else max(20, LOGINS // 50)
    kexes = {"curve25519": "curve25519-sha256"}
    if server.name == "gate":
        kexes["pq"] = PQ["gate"]
    for name, kex in kexes.items():
        with Clients(world, server, kex) as clients:
            clients.do(f"logins {CONCURRENT} {CONCURRENT}")
            for at_once in (1, CONCURRENT):
                cpu, took = spent(server, lambda: clients.do(f"logins {count} {at_once}"))
                result[f"{name}_{at_once}"] = {"cpu_ms": 1000 * cpu / count, "p50_ms": took["p50_ms"]}
    if server.name == "gate":
        result["unseen_1"] = measure_unseen(world, server, min(count, UNSEEN))
    return result


def measure_unseen(world, server, count):
    """The same where each login shows a certificate for the first time, whose CA signature the gate must verify."""
    certificates = sign_many(world, count + CONCURRENT)[0]
    with Clients(world, server, certificates=certificates) as clients:
        clients.do(f"logins {CONCURRENT} {CONCURRENT}")
        cpu, took = spent(server, lambda: clients.do(f"logins {count} 1"))
    return {"cpu_ms": 1000 * cpu / count, "p50_ms": took["p50_ms"]}


def measure_leg(world, server):
    """What `ssh` sees, and what its logins cost, which are not those of our client."""
    result = {}
    kexes = {"curve25519": "curve25519-sha256"}
    if server.name == "sshd":
        kexes["pq"] = PQ["sshd"]
    for name, kex in kexes.items():
        cpu, legs = spent(server, lambda: [ssh_leg(world, server, kex) for _ in range(LEGS)])
        seconds, busy = zip(*legs)
        result[name] = {"cpu_ms": 1000 * cpu / LEGS, "p50_ms": 1000 * statistics.median(seconds),
                        "max_ms": 1000 * max(seconds), "ssh_cpu_ms": 1000 * statistics.mean(busy)}
    return result


def relay_once(world, server, clients, what):
    """CPU seconds of a GB, and MB a second by the clock. The server is on one processor and the others on another, as in
    relay_floor.c: what a byte costs depends on where the kernel puts them, and it changes its mind."""
    everywhere = os.sched_getaffinity(0)
    others = [clients.process.pid, world.target.pid]
    if len(everywhere) > 1:
        server.place({min(everywhere)})
        place(others, everywhere - {min(everywhere)})
    before = server.cpu_s()
    took = clients.do(f"move {what} {MEGABYTES * 1000000} 1 1")
    spent_s = server.cpu_s() - before
    server.place(everywhere)
    place(others, everywhere)
    return spent_s * 1000 / MEGABYTES, MEGABYTES * 1000 / took["wall_ms"]


def floor_once(world, cipher, direction, packets):
    out = subprocess.run([f"{world.build}/bench/relay_floor", cipher, direction, str(MEGABYTES), str(packets)], check=True,
                         capture_output=True, text=True).stdout
    return json.loads(out)["cpu_s_per_gb"]


def measure_relay(world, servers):
    """By cipher and direction: the floor, and each server; all in turns, so that a change of the machine meets all. The floor
    is the lower one of one packet at a time and of as many as the gate takes at most."""
    result = {}
    for cipher in CIPHERS:
        opened = {server.name: Clients(world, server, cipher=cipher) for server in servers}
        for clients in opened.values():
            clients.do("open 1 1")
            clients.do("move E 10000000 1 1")
        samples = {}
        for _ in range(ROUNDS):
            for direction, what in (("up", "S"), ("down", "D")):
                for packets in (1, 4):
                    samples.setdefault((direction, f"floor_{packets}"), []).append(floor_once(world, cipher, direction, packets))
                for server in servers:
                    samples.setdefault((direction, server.name), []).append(
                        relay_once(world, server, opened[server.name], what)[0])
        for clients in opened.values():
            clients.end()
        result[cipher] = {}
        for direction in ("up", "down"):
            of = {name: statistics.median(values) for (where, name), values in samples.items() if where == direction}
            result[cipher][direction] = {"floor": min(of["floor_1"], of["floor_4"]), **of}
    return result


def measure_memory(world, server):
    """PSS of an idle session with one channel: KB."""
    count = IDLE[server.name]
    with Clients(world, server) as clients:
        clients.do("logins 1 1")
        server.await_idle()
        empty = server.pss_kb()
        clients.do(f"open {count} {CONCURRENT}")
        server.await_idle()
        before = server.pss_kb()
        clients.do(f"move E {1 << 20} {count} 16")
        server.await_idle()
        after = server.pss_kb()
    return {"sessions": count, "empty_kb": empty, "idle_kb": (before - empty) / count, "after_traffic_kb": (after - empty) / count}


def measure_held(world, server):
    """Very many sessions, with a channel each as far as descriptors go: whether they live, and what another one notices."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(HELD, sessions_max() - 1)
    channels = min(count, limit - DESCRIPTORS_BESIDES - count - 2)

    def relay(clients):
        figures = {}
        for direction, what in (("up", "S"), ("down", "D")):
            samples = [relay_once(world, server, clients, what) for _ in range(ROUNDS)]
            figures[direction] = {"cpu_s_per_gb": statistics.median(cpu for cpu, _ in samples),
                                  "mb_s": statistics.median(speed for _, speed in samples)}
        return figures

    with Clients(world, server) as one, Clients(world, server) as many:
        one.do("open 1 1")
        one.do("move E 10000000 1 1")
        alone = relay(one)
        took_ms = many.do(f"open {channels} 64")["wall_ms"] + many.do(f"enter {count - channels} 64")["wall_ms"]
        server.await_idle()
        pings = [many.do("ping", may_fail=True) for _ in range(3)]
        pss = server.pss_kb()
        idle = server.cpu_s()
        time.sleep(2)
        idle = (server.cpu_s() - idle) / 2
        beside = relay(one)
        pings.append(many.do("ping", may_fail=True))
    return {"sessions": count, "channels": channels, "descriptors": limit, "opened_s": took_ms / 1000, "pss_mb": pss / 1024, "idle_cpu_ms_per_s": 1000 * idle,
            "answered": min(ping["done"] for ping in pings), "slowest_answer_ms": max(ping["max_ms"] for ping in pings),
            "relay_alone": alone, "relay_beside": beside}


def measure_burst(world, server):
    with Clients(world, server) as clients:
        result = clients.do(f"open {BURST} {BURST}", may_fail=True)
    return {"clients": BURST, "dropped": result["failed"], "wall_ms": result["wall_ms"], "p50_ms": result["p50_ms"],
            "max_ms": result["max_ms"], "why": result["why"]}


def measure_revoke(world, server):
    """From the request to the authority until the client's connection ends; one certificate each."""
    certificates, signed = sign_many(world, REVOKED_OF)
    took = []
    with Clients(world, server, certificates=certificates) as clients:
        clients.do(f"open {REVOKED_OF} 16")
        for i in range(REVOKED):
            began = time.monotonic()
            world.centre.api.call("PUT", "/ssh-keys/revoke", {"serialNumber": signed[i]["serialNumber"], "reason": "benchmark"})
            took.append(clients.do(f"ended {i}")["last_us"] / 1000 - began * 1000)
        others = clients.do("ping", may_fail=True)["done"]
    took.sort()
    return {"sessions": REVOKED_OF, "revoked": REVOKED, "others_left": others, "p50_ms": took[len(took) // 2],
            "p99_ms": took[(len(took) * 99 + 99) // 100 - 1], "max_ms": took[-1]}


def line(label, sshd, gate, goal="", reached=None):
    shown = [value if isinstance(value, str) else "" if value is None else f"{value:.{3 if abs(value) < 10 else 0}f}"
             for value in (sshd, gate)]
    print(f"{label:66}{shown[0]:>12}{shown[1]:>12}  {goal:26}{'' if reached is None else 'reached' if reached else 'MISSED'}")


def print_logins(result):
    logins, legs = result.get("logins", {}), result.get("leg", {})
    for key, label, goal in (("curve25519_1", "curve25519", 0.5), (f"curve25519_{CONCURRENT}", f"… {CONCURRENT} at once", 0.5),
                             ("pq_1", "mlkem768x25519 (sshd: sntrup761x25519, by ssh)", 0.6),
                             (f"pq_{CONCURRENT}", f"… {CONCURRENT} at once", 0.6),
                            ("unseen_1", "curve25519, a certificate that is new to it", None)):
        of = {name: logins.get(name, {}).get(key, {}).get("cpu_ms") for name in SERVERS}
        sshd = legs.get("sshd", {}).get("pq", {}).get("cpu_ms") if key == "pq_1" else of.get("sshd")
        gate = of.get("gate")
        if sshd or gate:
            line(f"CPU ms of a login, {label}", sshd, gate, f"at most {goal}" if goal else "", gate and goal and gate <= goal)
    if legs:
        of = {name: leg.get("curve25519", {}).get("cpu_ms") for name, leg in legs.items()}
        line("… curve25519, one ssh after the other", of.get("sshd"), of.get("gate"))
        gate = legs.get("gate", {}).get("curve25519", {}).get("p50_ms")
        busy = max(leg["curve25519"]["ssh_cpu_ms"] for leg in legs.values())
        line(f"ms of the jump leg, median of {LEGS} (ssh itself is busy for {busy:.0f})", legs.get("sshd", {}).get("curve25519", {}).get("p50_ms"), gate,
             "at most 15", gate and gate <= 15)


def print_memory(result):
    for key, label in (("idle_kb", "before"), ("after_traffic_kb", "after")):
        of = {name: memory[key] for name, memory in result.get("memory", {}).items()}
        if of:
            counts = ", ".join(f"{name} {memory['sessions']}" for name, memory in result["memory"].items())
            line(f"KB of an idle session, {label} 1 MiB each way ({counts})", of.get("sshd"), of.get("gate"), "at most 16",
                 "gate" in of and of["gate"] <= 16)


def print_relay(result):
    for cipher, directions in result.get("relay", {}).items():
        for direction, of in directions.items():
            gate, sshd = of.get("gate"), of.get("sshd")
            reached = gate and gate <= 1.2 * of["floor"] and gate <= (sshd or gate)
            ratio = f"; {gate / of['floor']:.2f}" if gate else ""
            line(f"CPU s/GB {direction}, {cipher.split('@')[0]} (floor {of['floor']:.2f})", sshd, gate, f"at most 1.2 floors{ratio}", reached)


def print_crowds(result):
    held = result.get("held", {}).get("gate", {})
    if held:
        line("sessions at once that answer a keep-alive within 1 s", None, f"{held['answered']}",
             f"{HELD}; slowest {held['slowest_answer_ms']:.0f} ms", held["answered"] >= HELD and held["slowest_answer_ms"] <= 1000)
        if held["sessions"] < HELD:
            print(f"  (only {held['sessions']} were tried: the hard limit of descriptors is {held['descriptors']}, and each takes two)")
        for direction in ("up", "down"):
            alone, beside = held["relay_alone"][direction], held["relay_beside"][direction]
            line(f"relay {direction} beside them, MB/s; CPU s/GB", None, f"{beside['mb_s']:.0f}; {beside['cpu_s_per_gb']:.2f}",
                 f"alone {alone['mb_s']:.0f}; {alone['cpu_s_per_gb']:.2f}", beside["cpu_s_per_gb"] <= 1.1 * alone["cpu_s_per_gb"])
    burst = {name: f"{of['dropped']}" for name, of in result.get("burst", {}).items()}
    if burst:
        line(f"of {BURST} clients at once, dropped", burst.get("sshd"), burst.get("gate"), "none", burst.get("gate") == "0")
    revoke = result.get("revoke", {}).get("gate")
    if revoke:
        line(f"ms from revoke to the cut, p99 of {REVOKED}, {REVOKED_OF} sessions", "never", revoke["p99_ms"], "under 100",
             revoke["p99_ms"] < 100 and revoke["others_left"] == REVOKED_OF - REVOKED)


def measure(world):
    result = {"bench": "gate", "cores": os.cpu_count()}
    servers = {name: world.start(name) for name in SERVERS}
    for part, one in (("logins", measure_logins), ("leg", measure_leg)):
        if part in PARTS:
            result[part] = {name: one(world, server) for name, server in servers.items()}
    if "relay" in PARTS:
        result["relay"] = measure_relay(world, list(servers.values()))
    for part, one, names in (("memory", measure_memory, SERVERS), ("held", measure_held, ["gate"]),
                             ("burst", measure_burst, SERVERS), ("revoke", measure_revoke, ["gate"])):
        if part in PARTS:
            result[part] = {}
            for name in set(names) & set(SERVERS):
                # A fresh one: what earlier parts left behind is not this one's.
                server = world.start(name)
                result[part][name] = one(world, server)
                server.stop()
    return result


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(of) for key, of in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def main():
    raise_descriptors()
    work = tempfile.mkdtemp(prefix="posterngate-bench.", dir="/var/tmp")
    os.chmod(work, 0o755)
    world = World(sys.argv[1], work)
    began = time.monotonic()
    try:
        world.begin()
        result = measure(world)
    finally:
        world.stop()
        if os.environ.get("KEEP") != "1":
            shutil.rmtree(work)
    result["seconds"] = round(time.monotonic() - began)
    line("", "sshd", "gate")
    for show in (print_logins, print_memory, print_relay, print_crowds):
        show(result)
    print(json.dumps(rounded(result)))


main()
