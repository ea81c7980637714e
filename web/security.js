// Security: what can act for this account, and what was done in its name.

import { accessSection } from "./access.js";
import { call, get } from "./api.js";
import { factorSection } from "./factors.js";
import { ago, when } from "./text.js";
import { action, badge, confirmEnd, element, empty, field, live, paged, row, rows, say, section, select } from "./view.js";

const PAGE_ROWS = 30;
const places = (subnets) => (subnets.length > 0 ? `from ${subnets.join(", ")}` : "from everywhere");
const kinds = { valid: "good", expired: "plain", revoked: "bad" };

// ---- sessions -----------------------------------------------------------------------------------

async function endSession(session, refresh) {
    if (await confirmEnd("End this session?", [describeSession(session), "Whoever uses it has to sign in again. Certificates that it gave stay good."], "End it")) {
        await call("DELETE", `/api/v1/sessions/${session.id}`);
        say("The session has ended.");
        await refresh();
    }
}

const describeSession = (session) => (session.use === "browser" ? "A browser" : session.client ? `A program (${session.client})` : "The command line");

function sessionSection() {
    const list = live(async () => {
        const { sessions } = await get("/api/v1/sessions");
        return rows(
            sessions.map((session) =>
                row(
                    [`${describeSession(session)} `, session.current && badge("this one", "good")],
                    [`signed in ${ago(session.signInTime ?? session.createTime)}${session.methods.includes("mfa") ? ", with a second factor" : ""}; until ${when(session.expireTime)}`],
                    ...(session.current ? [] : [action("End", () => endSession(session, list.refresh), { class: "danger quiet", "aria-label": `End: ${describeSession(session)}, until ${when(session.expireTime)}` })]),
                ),
            ),
            "Sessions",
        );
    });
    return section("Sessions", list.place);
}

// ---- grants -------------------------------------------------------------------------------------

async function revokeGrant(grant, refresh) {
    if (await confirmEnd(`Revoke the grant ${grant.name}?`, [`The key ${grant.fingerprint}`, "The machine gets no certificate any more, and those it got are revoked."], "Revoke")) {
        const { certificatesRevoked } = await call("DELETE", `/api/v1/grants/${grant.id}`);
        say(`Revoked the grant ${grant.name}, and ${certificatesRevoked} of its certificates.`);
        await refresh();
    }
}

function showGrant(grant, refresh) {
    return row(
        [`${grant.name} `, badge(grant.state, kinds[grant.state])],
        [
            `${grant.clusters.length > 0 ? grant.clusters.join(", ") : "all clusters"}; ${places(grant.ipSubnets)}; certificates of ${grant.duration}; until ${when(grant.expireTime)}`,
            grant.forceCommand && element("p", { class: "detail" }, "only ", element("code", {}, grant.forceCommand)),
            grant.lastUsedTime ? `last used ${ago(grant.lastUsedTime)}, from ${grant.lastUsedFrom}` : "never used",
            element("p", { class: "detail code" }, grant.fingerprint),
        ],
        ...(grant.state === "valid" ? [action("Revoke", () => revokeGrant(grant, refresh), { class: "danger quiet", "aria-label": `Revoke ${grant.name}` })] : []),
    );
}

function grantSection() {
    const list = live(async () => {
        const { grants } = await get("/api/v1/grants");
        return grants.length > 0
            ? rows(grants.map((grant) => showGrant(grant, list.refresh)), "Automation grants")
            : empty("None. On the machine that shall work unattended: ", element("code", {}, "postern grant create --from mine"), ".");
    });
    return section("Automation grants", element("p", {}, "What you allowed machines to do without you."), list.place);
}

// ---- history ------------------------------------------------------------------------------------

// What people do themselves, in words; the rest by its name in the audit log.
const deeds = {
    "session.sign-in": "Sign-in to the dashboard",
    "session.login": "Sign-in with a password and a code",
    "session.exchange": "Sign-in by an API key",
    "session.logout": "Sign-out",
    "session.end": "End of a session",
    "issuer.sign-in": "Sign-in for a program",
    "issuer.token": "A program's token",
    "device.answer": "Answer to a program elsewhere",
    "invitation.accept": "An invitation opened",
    "invitation.confirm": "An invitation accepted",
    "factor.recovery-codes": "Recovery codes made",
    "factor.totp": "Another authenticator prepared",
    "factor.totp-confirm": "Another authenticator",
    "factor.password": "The password changed",
    "factor.passkey-add": "A passkey added",
    "factor.passkey-rename": "A passkey renamed",
    "factor.passkey-remove": "A passkey removed",
    "certificate.sign": "A key signed",
    "certificate.revoke": "A certificate revoked",
    "certificate.revoke_all": "All certificates revoked",
    "key.register": "A key registered",
    "key.remove": "A key removed",
    "grant.create": "An automation grant approved",
    "grant.renew": "A certificate by a grant",
    "grant.revoke": "An automation grant revoked",
};

function showEvent(event) {
    return row(
        [deeds[event.action] ?? element("code", {}, event.action), " ", !event.allowed && badge("refused", "bad")],
        [`${when(event.time)} · from ${event.source || "here"}`, [event.target, event.detail].filter(Boolean).join(" · ")],
    );
}

function historySection() {
    const kind = select("kind", [["", "Everything"], ["session.", "Sign-ins here"], ["issuer.", "Sign-ins for programs"], ["factor.", "How I sign in"], ["certificate.", "Certificates"], ["grant.", "Automation grants"]], "");
    const list = paged(
        "What was done in your name",
        async (cursor) => {
            const query = new URLSearchParams({ limit: PAGE_ROWS });
            if (kind.value) {
                query.set("action", kind.value);
            }
            if (cursor) {
                query.set("before", cursor);
            }
            const { audit, next } = await get(`/api/v1/audit/mine?${query}`);
            return { items: audit, next };
        },
        showEvent,
        empty("Nothing yet."),
    );
    kind.addEventListener("change", list.refresh);
    return section(
        "What was done in your name",
        element("p", {}, "Sign-ins among it, also those that failed, and where they came from."),
        element("div", { class: "tools" }, field("Show", kind)),
        list.place,
    );
}

export function securityPage({ who }) {
    return [
        element("h1", {}, "Security"),
        element("p", { class: "lede" }, "Everything that can act for you, and a way to end it."),
        factorSection(who),
        sessionSection(),
        accessSection(who),
        grantSection(),
        historySection(),
    ];
}
