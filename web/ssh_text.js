// What is written for ssh and PuTTY, as `postern config` writes it, for the simple case: one jump host, one key.

const hostOf = (place) => ({ name: place.name, address: place.address || place.name, port: place.port || 22 });

// Whom the account reaches, in the order of the configuration. `known` is the answer of /api/v1/known-hosts.
export function reach(who, site, known) {
    return {
        jumps: site.jumpHosts.map(hostOf),
        clusters: site.clusters.filter((cluster) => who.clusters.includes(cluster.name)).map(hostOf),
        logins: known.filter((host) => host.role === "login" && !who.clusters.includes(host.name)).map(hostOf),
    };
}

// ssh has no way to write a quote or a line break in a value.
const isPlain = (text) => /^[\w.:@/~+,-]+$/.test(text);

function block(host, lines) {
    return [`Host ${host.name}`, ...lines.filter(Boolean).map((line) => `    ${line}`), ""].join("\n");
}

export function sshConfig(who, site, places) {
    const key = site.defaultKeyFile;
    const jump = places.jumps[0]?.name;
    const common = [`User ${who.username}`, `IdentityFile ${key}`, `CertificateFile ${key}-cert.pub`, "IdentitiesOnly yes"];
    const all = [...places.jumps.map((host) => [host, false, false]), ...places.clusters.map((host) => [host, true, false]), ...places.logins.map((host) => [host, true, true])];
    return all
        .filter(([host]) => isPlain(host.name) && isPlain(host.address))
        .map(([host, inside, alias]) =>
            block(host, [
                `HostName ${host.address}`,
                alias && host.name !== host.address && `HostKeyAlias ${host.name}`,
                host.port !== 22 && `Port ${host.port}`,
                inside && jump && `ProxyJump ${jump}`,
                ...common,
            ]),
        )
        .join("\n");
}

const knownAs = (places) =>
    [...new Set([...places.jumps, ...places.clusters, ...places.logins].flatMap((host) => [host.name, host.address].map((name) => (host.port === 22 ? name : `[${name}]:${host.port}`))))];

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
