"""An authority for a benchmark: a fresh posternd on loopback, its administrator, and hosts that follow its feed."""
import base64, hashlib, hmac, http.client, json, re, signal, socket, ssl, struct, subprocess, sys, time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def totp(secret):
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1000000:06d}"


class Api:
    def __init__(self, port, ca):
        context = ssl.create_default_context(cafile=ca)
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
        self.token = None
        self.last = 0

    def call(self, method, path, body=None):
        if time.monotonic() - self.last > 30:  # the authority may have closed it; it opens by itself
            self.connection.close()
        self.last = time.monotonic()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        self.connection.request(method, "/api/v1" + path, json.dumps(body) if body is not None else None, headers)
        response = self.connection.getresponse()
        text = response.read()
        if response.status // 100 != 2:
            sys.exit(f"{method} {path}: {response.status} {text.decode()}")
        return json.loads(text)


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"bench: {what} did not come about in {seconds} s")
        time.sleep(0.02)


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Centre:
    """Lives in the folder `work`, from begin() to stop()."""

    def __init__(self, build, work):
        self.work, self.children, self.followers = work, [], {}
        self.posternd, self.host = f"{build}/src/authority/posternd", f"{build}/src/host/postern-host"
        self.ca = f"{work}/ca.pem"
        self.port = free_port()

    def begin(self, admin="admin", fill=None):
        """fill(path) may fill the store before the authority begins to serve."""
        url = f"https://127.0.0.1:{self.port}"
        out = subprocess.run([self.posternd, "init", f"{self.work}/a", "--site", "bench", "--listen", f"127.0.0.1:{self.port}",
                              "--url", url, "--admin", admin], check=True, capture_output=True, text=True).stdout
        invitation = re.search(r"pgi_[\w-]+", out).group(0)
        if fill:
            fill(f"{self.work}/a/store/posternd.db")
        self.start([self.posternd, "serve", "-c", f"{self.work}/a/posternd.yaml"], "posternd")
        wait_until(lambda: listens(self.port), "the authority")
        chain = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n",
                           open(f"{self.work}/a/tls/server.pem").read(), re.S)
        with open(self.ca, "w") as f:
            f.write(chain[-1])
        self.api = Api(self.port, self.ca)
        secret = self.api.call("POST", "/auth/invitation", {"invitation": invitation, "password": "correct horse battery"})
        self.api.token = self.api.call("POST", "/auth/invitation/confirm",
                                       {"invitation": invitation, "totp": totp(secret["totpSecret"])})["access_token"]

    def start(self, command, name, **options):
        log = open(f"{self.work}/{name}.log", "w")
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        self.children.append(child)
        return child

    def said(self, name, text):
        return text in open(f"{self.work}/{name}.log").read()

    def enrol(self, name, state, **host):
        """A host with a key of its own at WORK/NAME.key and its state in the folder `state`."""
        key, config = f"{self.work}/{name}.key", f"{self.work}/{name}.yaml"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        with open(config, "w") as f:
            f.write(f"state: {state}\nhost_keys: [{key}.pub]\n")
        token = self.api.call("POST", "/hosts", {"name": name, **host})["enrolmentToken"]
        subprocess.run([self.host, "enrol", "--url", f"https://127.0.0.1:{self.port}", "--ca", self.ca, "--token", token,
                        "--config", config], check=True, stdout=subprocess.DEVNULL)

    def sync(self, name):
        self.followers[name] = self.start([self.host, "sync", "--config", f"{self.work}/{name}.yaml"], f"sync-{name}")
        return self.followers[name]

    def stop(self):
        for child in self.children:
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            child.wait()
