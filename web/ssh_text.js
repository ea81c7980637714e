// What is written for ssh and PuTTY, as `postern config` writes it (src/cli/config/ssh_config.c, node_patterns.c), for the simple case:
// one way in, one key, an ssh of these days. tests/e2e/dashboard_connect.sh holds both texts together.

const SSH_PORT = 22;
const LINE_CHARS = 1000; // OpenSSH before 7.8 reads no longer ones
const PATTERN_LETTERS_MIN = 3;

const hostOf = (place) => ({ name: place.name, address: place.address || place.name, port: place.port || SSH_PORT });

// Whom the account reaches, in the order of the configuration. `known` is the answer of /api/v1/known-hosts?include_compute=true.
export function reach(who, site, known) {
    const jumps = site.jumpHosts.map(hostOf);
    const clusters = site.clusters.filter((cluster) => who.clusters.includes(cluster.name)).map(hostOf);
    const taken = new Set([...jumps, ...clusters].map((host) => host.name));
    const inside = (role) => known.filter((host) => host.role === role && !taken.has(host.name)).map(hostOf);
    return { jumps, clusters, logins: inside("login"), nodes: inside("compute") };
}

// ssh has no way to write a quote or a line break in a value.
const isPlain = (text) => /^[\w.:@/~+,-]+$/.test(text);
const isLiteral = (address) => /^[\d.]+$/.test(address) || address.includes(":");

const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

// ---- compute hosts ------------------------------------------------------------------------------

const orderBlocks = (a, b) => order(a.via, b.via) || a.host.port - b.host.port;

// "nid??????" for each that looks like it; those that differ from their like stand by their name.
function nodePatterns(nodes, jump) {
    const made = nodes.map((host) => {
        const via = jump ?? "";
        const exact = via === "" && host.name !== host.address;
        const letters = host.name.replace(/\d/g, "").length;
        return { host, via, exact, text: exact || letters < PATTERN_LETTERS_MIN ? host.name : host.name.replace(/\d/g, "?") };
    });
    made.sort((a, b) => order(a.text, b.text) || orderBlocks(a, b));
    const kept = [];
    let first;
    for (const item of made) {
        const same = first?.text === item.text;
        if (same && orderBlocks(first, item) === 0) {
            continue;
        }
        kept.push(same ? { ...item, text: item.host.name, exact: true } : item);
        first = same ? first : item;
    }
    return kept.sort((a, b) => (a.exact === b.exact ? orderBlocks(a, b) || order(a.text, b.text) : a.exact ? -1 : 1));
}

// Where no hop knows it by its name, its address has to be said.
const needsAddress = (node) => node.via === "" && node.host.name !== node.host.address;
const shareBlock = (a, b) => a.exact === b.exact && orderBlocks(a, b) === 0 && !needsAddress(a) && !needsAddress(b);

// Lists of patterns that stand in one line.
function nodeLines(patterns) {
    const lines = [];
    for (const node of patterns) {
        const line = lines.at(-1);
        const goesOn = line && shareBlock(line.at(-1), node) && ["Host", ...line.map((one) => one.text), node.text].join(" ").length < LINE_CHARS;
        goesOn ? line.push(node) : lines.push([node]);
    }
    return lines;
}

// ---- the configuration --------------------------------------------------------------------------

export function sshConfig(who, site, places) {
    const key = site.defaultKeyFile;
    const jump = places.jumps[0]?.name;
    const common = [`User ${who.username}`, `IdentityFile ${key}`, `CertificateFile ${key}-cert.pub`, "IdentitiesOnly yes", site.gssapi && "GSSAPIAuthentication yes"];
    const block = (names, ...lines) => [`Host ${names}`, ...[...lines, ...common].filter(Boolean).map((line) => `    ${line}`), ""].join("\n");
    const port = (host) => host.port !== SSH_PORT && `Port ${host.port}`;
    const via = jump && `ProxyJump ${jump}`;

    // An address that is a name stands beside the host's own, unless it is that of one before.
    const place = (host, before, hop, alias) => {
        const beside = host.name !== host.address && !isLiteral(host.address) && !before.some((other) => other.address === host.address);
        return block(
            beside ? `${host.name} ${host.address}` : host.name,
            `HostName ${host.address}`,
            alias && host.name !== host.address && `HostKeyAlias ${host.name}`,
            port(host),
            hop,
        );
    };
    const { jumps, clusters, logins, nodes } = Object.fromEntries(
        Object.entries(places).map(([kind, hosts]) => [kind, hosts.filter((host) => isPlain(host.name) && isPlain(host.address))]),
    );
    return [
        ...jumps.map((host, index) => place(host, jumps.slice(0, index), false, false)),
        ...clusters.map((host, index) => place(host, [...jumps, ...clusters.slice(0, index)], via, false)),
        ...logins.map((host) => place(host, [...jumps, ...clusters], via, true)),
        ...nodeLines(nodePatterns(nodes, jump)).map((line) => {
            const [{ host }] = line;
            const address = needsAddress(line[0]) && [`HostName ${host.address}`, `HostKeyAlias ${host.name}`];
            return block(line.map((node) => node.text).join(" "), ...(address || []), port(host), via);
        }),
        jump && block("job-*", via),
    ]
        .filter(Boolean)
        .join("\n");
}

const knownName = (name, port) => (port === SSH_PORT ? name : `[${name}]:${port}`);

// Compute hosts by the patterns that the configuration has for them.
function knownAs(places) {
    const nodes = nodePatterns(places.nodes, places.jumps[0]?.name).map((node) => knownName(node.text, node.host.port));
    return [...new Set([...[...places.jumps, ...places.clusters, ...places.logins].flatMap((host) => [host.name, host.address].map((name) => knownName(name, host.port))), ...nodes])];
}

// The hosts show certificates of the site's: one line a CA, and no question at a first login.
export const knownHosts = (site, places) => site.hostCaKeys.map((key) => `@cert-authority ${knownAs(places).join(",")} ${key}`).join("\n");

// ---- PuTTY --------------------------------------------------------------------------------------

const ROOT = "HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY\\";
const PROXY_SSH = 6;
const quoted = (text) => `"${text.replace(/[\\"]/g, "\\$&")}"`;
const text = (name, value) => `"${name}"=${quoted(value)}`;
const number = (name, value) => `"${name}"=dword:${value.toString(16).padStart(8, "0")}`;

function puttySession(who, host, via, alias) {
    return [
        `[${ROOT}Sessions\\${host.name}]`,
        text("HostName", host.address),
        number("PortNumber", host.port),
        text("Protocol", "ssh"),
        text("UserName", who.username),
        ...(alias && host.name !== host.address ? [text("LogHost", host.name)] : []),
        ...(via ? [number("ProxyMethod", PROXY_SSH), text("ProxyHost", via), number("ProxyPort", 22)] : []),
        "",
    ];
}

// A .reg file: a saved session for each, and the site's host CAs for just these names.
export function puttyRegistry(who, site, places) {
    const via = places.jumps[0]?.name;
    const validity = [...new Set([...places.jumps, ...places.clusters, ...places.logins].flatMap((host) => [host.name, host.address]))].join(" || ");
    return [
        "Windows Registry Editor Version 5.00",
        "",
        ...places.jumps.flatMap((host) => puttySession(who, host, null, false)),
        ...places.clusters.flatMap((host) => puttySession(who, host, via, false)),
        ...places.logins.flatMap((host) => puttySession(who, host, via, true)),
        ...site.hostCaKeys.flatMap((key, index) => [
            `[${ROOT}SshHostCAs\\posterngate-${site.site}-${index + 1}]`,
            text("PublicKey", key.split(" ")[1]),
            text("Validity", validity),
            number("PermitRSASHA1", 0),
            number("PermitRSASHA256", 1),
            number("PermitRSASHA512", 1),
            "",
        ]),
    ].join("\r\n");
}

// ---- fingerprints -------------------------------------------------------------------------------

// "SHA256:…" of the line of a public key, as ssh-keygen -l tells it.
export async function fingerprint(line) {
    const blob = Uint8Array.from(atob(line.split(" ")[1]), (character) => character.charCodeAt(0));
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", blob));
    return `SHA256:${btoa(String.fromCharCode(...hash)).replace(/=+$/, "")}`;
}
