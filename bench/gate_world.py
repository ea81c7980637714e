"""What bench/gate_bench.py measures: a gate and OpenSSH's sshd as a jump host beside it, both trusting one authority, a target
behind them, clients in front of them, and the operating system's account of what a server's processes cost."""
import json, os, pwd, resource, subprocess, time

from centre import Centre, free_port, listens, wait_until

TARGET_ADDRESS = "127.0.0.11"
HELD = 10000
DESCRIPTORS_BESIDES = 512
TICKS = os.sysconf("SC_CLK_TCK")


def process_tree(root):
    """The process and all its descendants that live."""
    children = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent = int(open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(pid))
    tree = [root]
    for pid in tree:
        tree += children.get(pid, [])
    return tree


def place(pids, processors):
    """All threads of the processes go there."""
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(task), processors)


class Server:
    """One of the two jump hosts, in a process tree of its own."""

    def __init__(self, name, user, port, process):
        self.name, self.user, self.port, self.process = name, user, port, process
        wait_until(self.answers, f"{name} on port {port}")

    def answers(self):
        if self.process.poll() is not None:
            raise SystemExit(f"bench: {self.name} has ended with status {self.process.returncode}; see its log (KEEP=1)")
        return listens(self.port)

    def cpu_s(self):
        """User and system time: of every process that lives to the nanosecond, of all that were reaped to the tick."""
        total = 0.0
        for pid in process_tree(self.process.pid):
            try:
                fields = open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1].split()
                total += time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)
                total += (int(fields[13]) + int(fields[14])) / TICKS
            except (OSError, ProcessLookupError):
                pass
        return total

    def place(self, processors):
        place(process_tree(self.process.pid), processors)

    def pss_kb(self):
        total = 0
        for pid in process_tree(self.process.pid):
            for line in open(f"/proc/{pid}/smaps_rollup"):
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        return total

    def await_idle(self):
        """Until its sessions' processes have been reaped and it has spent nothing for a while."""
        last = None
        for _ in range(200):
            now = (len(process_tree(self.process.pid)), round(self.cpu_s(), 3))
            if now == last:
                return
            last = now
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Clients:
    """One bench/gate_load."""

    def __init__(self, world, server, kex="curve25519-sha256", cipher="aes128-gcm@openssh.com", certificates=None):
        self.process = subprocess.Popen(
            [f"{world.build}/bench/gate_load", str(server.port), TARGET_ADDRESS, str(world.target_port), server.user, world.key,
             certificates or world.certificate, kex, cipher],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=raise_descriptors)

    def do(self, command, may_fail=False):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: gate_load ended at: {command}")
        result = json.loads(line)
        if result["failed"] and not may_fail:
            raise SystemExit(f"bench: {command}: {result['failed']} failed, {result['why']}")
        return result

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def raise_descriptors():
    """As many as the hardest case needs, where this user may."""
    wanted = 4 * HELD
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, hard), max(wanted, hard)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def sessions_max():
    """That a gate will serve, which wants a descriptor for each and some besides (src/gate/process.c)."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1] - DESCRIPTORS_BESIDES


class World:
    def __init__(self, build, work):
        self.build, self.work = build, work
        self.key, self.certificate = f"{work}/user", f"{work}/user-cert.pub"
        self.centre = Centre(build, work)
        self.servers, self.target = [], None

    def begin(self):
        self.centre.begin()
        self.target = subprocess.Popen([f"{self.build}/bench/gate_target", TARGET_ADDRESS], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, preexec_fn=raise_descriptors)
        self.target_port = int(self.target.stdout.readline())
        api = self.centre.api
        api.call("POST", "/clusters", {"name": "daint", "address": TARGET_ADDRESS, "port": self.target_port})
        api.call("POST", "/projects", {"name": "bench"})
        api.call("PUT", "/projects/bench/clusters/daint")
        api.call("PUT", "/projects/bench/members/admin", {"role": "member"})
        self.centre.enrol("ela", f"{self.work}/ela", role="jump")
        self.centre.sync("ela")
        wait_until(lambda: self.centre.said("sync-ela", "feed_snapshot"), "the first snapshot")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        with open(self.certificate, "w") as f:
            f.write(self.sign()["publicKey"])

    def sign(self):
        public = open(self.key + ".pub").read().strip()
        return self.centre.api.call("POST", "/ssh-keys/sign", {"publicKey": public, "duration": "1d"})["sshKey"]

    def start(self, name):
        server = {"sshd": self.start_sshd, "gate": self.start_gate}[name]()
        self.servers.append(server)
        return server

    def start_sshd(self):
        """As an operator would set one up who wants a jump host and cares for its speed: no PAM, one host key, no commands.
        The account is the one that runs this benchmark; the certificate's is told to be good for it."""
        port, config, user = free_port(), f"{self.work}/sshd.conf", pwd.getpwuid(os.getuid()).pw_name
        with open(f"{self.work}/principals", "w") as f:
            f.write("admin\n")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # which its service would make
        key = f"{self.work}/ela.key"
        with open(config, "w") as f:
            f.write(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {key}\nHostCertificate {key}-cert.pub\n"
                    f"TrustedUserCAKeys {self.work}/ela/user_ca.pub\nAuthorizedKeysFile none\n"
                    f"AuthorizedPrincipalsFile {self.work}/principals\nStrictModes no\nPasswordAuthentication no\n"
                    "KbdInteractiveAuthentication no\nPermitRootLogin yes\nUsePAM no\nPidFile none\nPermitTTY no\n"
                    "X11Forwarding no\nAllowAgentForwarding no\nAllowTcpForwarding local\n")
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", config]
        return Server("sshd", user, port, self.centre.start(command, f"sshd-{port}", preexec_fn=raise_descriptors))

    def start_gate(self):
        port, config = free_port(), f"{self.work}/gate.yaml"
        most = min(sessions_max(), 2 * HELD)
        with open(config, "w") as f:
            f.write(f"listen: ['127.0.0.1:{port}']\nhost_keys: ['{self.work}/ela.key']\nstate: {self.work}/ela\n"
                    f"user: {'nobody' if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name}\nworkers: 2\n"
                    f"limits: {{sessions: {most}, sessions_per_account: {most}, sessions_per_address: {most}, logins: {most},\n"
                    "  logins_per_minute: none, connections_per_minute: none, channels_per_minute: none}\n")
        command = [f"{self.build}/src/gate/postern-gate", "serve", "-c", config]
        return Server("gate", "admin", port, self.centre.start(command, f"gate-{port}", preexec_fn=raise_descriptors))

    def stop(self):
        for server in self.servers:
            server.stop()
        if self.target:
            self.target.stdin.close()
            self.target.wait()
        self.centre.stop()
