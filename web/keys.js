// Keys: sign one, see and revoke certificates, make a pair on the server (deprecated), registered keys.

import { call, get } from "./api.js";
import { publicKeyField } from "./public_key.js";
import { registered } from "./registered.js";
import { ago, count, duration, when } from "./text.js";
import { action, badge, checkbox, confirmEnd, copyable, download, element, empty, field, form, input, paged, row, say, section, select, unseen } from "./view.js";

const PAGE_ROWS = 50;

const baseName = (path) => path.split("/").pop();
const durations = (site) => select("duration", site.policy.durations.map((one) => [one, duration(one)]), site.policy.defaultDuration);

// ---- signing ------------------------------------------------------------------------------------

function signed(sshKey, fileName) {
    return element(
        "div",
        { class: "result", tabindex: "-1" },
        element("h3", {}, "Signed"),
        element("p", {}, `Valid until ${when(sshKey.expireTime)}, serial ${sshKey.serialNumber}. Put it beside your key: ssh finds it by its name.`),
        element(
            "div",
            { class: "actions" },
            action(`Download ${fileName}`, async () => download(fileName, `${sshKey.publicKey.trim()}\n`), { class: "main" }),
        ),
        copyable(sshKey.publicKey.trim(), "the certificate"),
        element("p", { class: "hint" }, "For PuTTY: ", element("code", {}, `postern key convert ${fileName.replace("-cert.pub", "")} --to ppk`), " makes a .ppk with it."),
    );
}

function signSection(site, refresh) {
    let fileName = `${baseName(site.defaultKeyFile)}-cert.pub`;
    const result = element("div", {});
    const send = async (values) => {
        const { sshKey } = await call("POST", "/api/v1/ssh-keys/sign", { publicKey: values.publicKey.trim(), duration: values.duration });
        const shown = signed(sshKey, fileName);
        result.replaceChildren(shown);
        shown.focus();
        say(`Signed until ${when(sshKey.expireTime)}.`);
        refresh();
    };
    const named = (name) => {
        fileName = `${name.replace(/\.pub$/, "")}-cert.pub`;
    };
    return section(
        "Sign a key",
        form([...publicKeyField(named), field("Valid for", durations(site))], "Sign", send),
        result,
    );
}

function generateSection(site, refresh) {
    const result = element("div", {});
    const name = baseName(site.defaultKeyFile);
    const send = async (values) => {
        const { sshKey } = await call("POST", "/api/v1/ssh-keys", { duration: values.duration, passphrase: values.passphrase || undefined });
        result.replaceChildren(
            element(
                "div",
                { class: "result" },
                element("h3", {}, "Made"),
                element("p", {}, "The private key is shown this once and is kept nowhere."),
                element(
                    "div",
                    { class: "actions" },
                    action(`Download ${name}`, async () => download(name, sshKey.privateKey), { class: "main" }),
                    action(`Download ${name}-cert.pub`, async () => download(`${name}-cert.pub`, `${sshKey.publicKey.trim()}\n`)),
                ),
            ),
        );
        say("A pair was made and signed.");
        refresh();
    };
    return element(
        "details",
        {},
        element("summary", {}, "Have a pair made here (deprecated)"),
        element("p", {}, "The private key then travels through the network and this browser. Make it yourself, where it is used, and sign its public half above: ", element("code", {}, "ssh-keygen -t ed25519"), "."),
        form(
            [
                field("Passphrase", input("passphrase", { type: "password", autocomplete: "new-password" }), "For the private key; empty for none."),
                field("Valid for", durations(site)),
            ],
            "Make a pair",
            send,
        ),
        result,
    );
}

// ---- certificates -------------------------------------------------------------------------------

const kinds = { valid: "good", expired: "plain", revoked: "bad" };

async function fetchPage(filter, cursor) {
    const query = new URLSearchParams({ limit: PAGE_ROWS });
    if (filter.value !== "valid") {
        query.set("include_expired", "true");
        query.set("include_revoked", "true");
    }
    if (cursor) {
        query.set("before", cursor);
    }
    const { sshKeys } = await get(`/api/v1/ssh-keys?${query}`);
    return { items: sshKeys, next: sshKeys.length === PAGE_ROWS ? sshKeys.at(-1).serialNumber : undefined };
}

const describe = (certificate) => `${certificate.keyId}, serial ${certificate.serialNumber}, until ${when(certificate.expireTime)}`;

async function revoke(chosen, refresh) {
    const ok = await confirmEnd(
        `Revoke ${count(chosen.length, "certificate", "certificates")}?`,
        [...chosen.slice(0, 8).map(describe), chosen.length > 8 && `and ${chosen.length - 8} more`, "Sessions that they opened end everywhere."].filter(Boolean),
        "Revoke",
    );
    if (ok) {
        for (const certificate of chosen) {
            await call("PUT", "/api/v1/ssh-keys/revoke", { serialNumber: certificate.serialNumber, reason: "revoked in the dashboard" });
        }
        say(`Revoked ${count(chosen.length, "certificate", "certificates")}.`);
        await refresh();
    }
}

async function revokeAll(refresh) {
    const ok = await confirmEnd("Revoke every certificate?", ["All of your certificates that are valid", "Sessions that they opened end everywhere."], "Revoke all");
    if (ok) {
        const { revoked } = await call("PUT", "/api/v1/ssh-keys/revoke-all", { reason: "revoked in the dashboard" });
        say(`Revoked ${count(revoked, "certificate", "certificates")}.`);
        await refresh();
    }
}

function certificateSection() {
    const filter = select("status", [["valid", "Valid now"], ["all", "All, also expired and revoked"]], "valid");
    const chosen = new Map();
    const several = action("Revoke chosen", () => revoke([...chosen.values()], refresh), { class: "danger", disabled: true });
    const count_ = () => {
        several.disabled = chosen.size === 0;
        several.textContent = chosen.size > 0 ? `Revoke ${chosen.size} chosen` : "Revoke chosen";
    };
    const choose = (certificate, box) => {
        box.checked ? chosen.set(certificate.serialNumber, certificate) : chosen.delete(certificate.serialNumber);
        count_();
    };
    const show = (certificate) => {
        const valid = certificate.status === "valid";
        const box = checkbox("chosen", ["Choose", unseen(` ${certificate.serialNumber}`)], { onchange: (event) => choose(certificate, event.target) });
        return row(
            [certificate.keyId, " ", badge(certificate.status, kinds[certificate.status])],
            [
                `serial ${certificate.serialNumber}`,
                `signed ${ago(certificate.issuedTime)}, from ${certificate.source}; ${valid ? "until" : "ended"} ${when(certificate.revokedTime ?? certificate.expireTime)}`,
                certificate.reason && `reason: ${certificate.reason}`,
                element("p", { class: "detail code" }, certificate.fingerprint),
            ],
            ...(valid ? [box, action("Revoke", () => revoke([certificate], refresh), { class: "danger quiet", "aria-label": `Revoke ${certificate.serialNumber}` })] : []),
        );
    };
    const list = paged("Certificates", (cursor) => fetchPage(filter, cursor), show, empty("No certificate is valid now."));
    const refresh = async () => {
        chosen.clear();
        count_();
        await list.refresh();
    };
    filter.addEventListener("change", refresh);
    const made = section(
        "Certificates",
        element("div", { class: "tools" }, field("Show", filter), element("div", { class: "actions" }, several, action("Revoke all", () => revokeAll(refresh), { class: "danger quiet" }))),
        list.place,
    );
    return { made, refresh };
}

export function keysPage({ who, site }) {
    const certificates = certificateSection();
    return [
        element("h1", {}, "Keys"),
        element("p", { class: "lede" }, "A certificate makes your own key good for a while. Nothing needs to be copied to the clusters."),
        signSection(site, certificates.refresh),
        certificates.made,
        registered(who, site),
        generateSection(site, certificates.refresh),
    ];
}
