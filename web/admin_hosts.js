// Clusters and their hosts: whether each one hears of revocations, and what lets it in.

import { adminHead } from "./admin_head.js";
import { call, get } from "./api.js";
import { ago, count, length, secondsUntil, when } from "./text.js";
import { action, badge, confirmEnd, copyable, element, empty, live, row, rows, say, section } from "./view.js";

// A poll is held for 50 s, and that a host was seen is noted once a minute.
const LATE_S = 150;
const at = (name) => encodeURIComponent(name);

function state(host) {
    if (!host.enrolled) {
        return badge("never enrolled", "warn");
    }
    const silent_s = host.replicaAge ?? (host.seenTime ? -secondsUntil(host.seenTime) : Infinity);
    if (silent_s > LATE_S) {
        return badge("behind", "bad");
    }
    return badge("up to date", "good");
}

async function enrol(host, place) {
    const { enrolmentToken, enrolmentExpireTime } = await call("POST", `/api/v1/hosts/${at(host.name)}/enrolment`);
    place.replaceChildren(
        element(
            "div",
            { class: "result" },
            element("h2", {}, `To enrol ${host.name}`),
            element("p", {}, `The token is shown this once, and good until ${when(enrolmentExpireTime)}. The host's own stays good until then.`),
            copyable(enrolmentToken, `the enrolment token of ${host.name}`),
        ),
    );
    say(`Made an enrolment token for ${host.name}.`);
}

async function remove(host, refresh) {
    const ends = [`Its token ends, and its certificates are revoked.`, host.role === "jump" ? "Nobody gets in through it any more." : "Jump hosts lead nobody to it any more."];
    if (await confirmEnd(`Remove the host ${host.name}?`, ends, "Remove")) {
        const { certificatesRevoked } = await call("DELETE", `/api/v1/hosts/${at(host.name)}`);
        say(`Removed ${host.name}, and revoked ${count(certificatesRevoked, "certificate", "certificates")} of it.`);
        await refresh();
    }
}

// How old what it knows is.
function knows(host) {
    if (host.replicaAge !== undefined) {
        return `knew everything ${host.replicaAge < 5 ? "just now" : `${length(host.replicaAge)} ago`}`;
    }
    return host.seenTime ? `heard of ${ago(host.seenTime)}` : "never heard of";
}

const showHost = (host, place, refresh) =>
    row(
        [`${host.name} `, state(host), host.scheduler && " ", host.scheduler && badge("scheduler", "plain")],
        [
            [host.role, host.address && `${host.address}${host.port !== 22 ? ` port ${host.port}` : ""}`, host.version && `version ${host.version}`].filter(Boolean).join(" · "),
            [knows(host), host.sessions !== undefined && count(host.sessions, "session now", "sessions now")].filter(Boolean).join(" · "),
        ],
        action("Enrol", () => enrol(host, place), { class: "quiet", "aria-label": `Enrol ${host.name}` }),
        action("Remove", () => remove(host, refresh), { class: "danger quiet", "aria-label": `Remove ${host.name}` }),
    );

const access = { job: "nodes open by jobs", open: "nodes open to everyone who reaches it" };
const credentials = { certificates: "certificates alone", keys: "registered keys alone", both: "certificates and registered keys" };

export function hostsPage() {
    const place = element("div", { role: "status" });
    const list = live(async () => {
        const [{ clusters }, { hosts }] = await Promise.all([get("/api/v1/clusters"), get("/api/v1/hosts")]);
        const show = (host) => showHost(host, place, list.refresh);
        const jumps = hosts.filter((host) => host.role === "jump");
        return [
            section("Jump hosts", jumps.length > 0 ? rows(jumps.map(show), "Jump hosts") : empty("None.")),
            ...clusters.map((cluster) => {
                const own = hosts.filter((host) => host.cluster === cluster.name);
                return section(
                    cluster.name,
                    element("p", {}, [cluster.address, access[cluster.nodeAccess], credentials[cluster.credentials]].filter(Boolean).join(" · ")),
                    own.length > 0 ? rows(own.map(show), `Hosts of ${cluster.name}`) : empty("No host."),
                );
            }),
        ];
    });
    return [...adminHead("admin/hosts", "A host that was not heard of for long goes by what it knew last."), place, list.place];
}
