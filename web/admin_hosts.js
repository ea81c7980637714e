// Clusters and their hosts: whether each one hears of revocations, and what lets it in.

import { adminHead } from "./admin_head.js";
import { call, get } from "./api.js";
import { ago, count, length, secondsUntil, sentence, when } from "./text.js";
import { action, badge, checkbox, confirmEnd, copyable, element, empty, field, form, formDialog, input, live, reveal, row, rows, say, section, select } from "./view.js";

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

// What the authority finds perilous in what it did all the same.
const warnings = (answer) => (answer.warnings ?? []).map((text) => element("p", { class: "notice" }, sentence(text)));

function enrolment(name, answer) {
    const { enrolmentToken, enrolmentExpireTime } = answer;
    return element(
        "div",
        { class: "result", tabindex: "-1" },
        element("h2", {}, `To enrol ${name}`),
        ...warnings(answer),
        element("p", {}, `As root on ${name}, until ${when(enrolmentExpireTime)}; the token works once and is shown this once. A token that the host has already stays good until then.`),
        copyable(`postern-host enrol --url ${location.origin} --token ${enrolmentToken}`, `the command to enrol ${name}`),
        element("p", { class: "hint" }, "Where the authority's certificate is none of a public CA, add --fingerprint and what postern init was given."),
    );
}

async function enrol(host, place) {
    reveal(place, enrolment(host.name, await call("POST", `/api/v1/hosts/${at(host.name)}/enrolment`)));
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

const portField = (value) => field("Port", input("port", { type: "number", min: "1", max: "65535", value: String(value) }));

function hostForm(clusters, place, refresh) {
    const role = select("role", [["login", "login host"], ["compute", "compute host"], ["jump", "jump host"]], "login");
    const cluster = field("Cluster", select("cluster", clusters.map(({ name }) => [name, name])));
    const scheduler = checkbox("scheduler", "it may say which jobs run on its cluster");
    const made = form(
        [
            element("div", { class: "side-by-side" }, field("Role", role), cluster),
            field("Name", input("name", { autocapitalize: "none", required: true, placeholder: "daint-ln001" })),
            field("Address", input("address", { autocapitalize: "none", placeholder: "daint.example.org" }), "As clients and jump hosts dial it; empty: its name."),
            portField(22),
            scheduler,
        ],
        "Add the host",
        async (values) => {
            const name = values.name.trim();
            const answer = await call("POST", "/api/v1/hosts", {
                name,
                role: values.role,
                cluster: values.role === "jump" ? undefined : values.cluster,
                address: values.address.trim() || undefined,
                port: Number(values.port),
                scheduler: values.role !== "jump" && values.scheduler === "on" ? true : undefined,
            });
            await refresh();
            reveal(place, enrolment(name, answer));
            say(`Added the host ${name}.`);
            return true;
        },
    );
    const show = () => {
        cluster.hidden = scheduler.hidden = role.value === "jump"; // a jump host stands before all clusters
    };
    role.addEventListener("change", show);
    made.addEventListener("reset", () => queueMicrotask(show));
    return made;
}

// ---- clusters ------------------------------------------------------------------------------------

const access = { job: "nodes open by jobs", open: "nodes open to everyone who reaches it" };
const credentials = { certificates: "certificates alone", keys: "registered keys alone", both: "certificates and registered keys" };

const clusterFields = (cluster) => [
    field("Address", input("address", { autocapitalize: "none", placeholder: "daint.example.org", value: cluster.address }), "Of its login host, as clients and jump hosts dial it; empty: its name."),
    portField(cluster.port),
    field("Its nodes", select("nodeAccess", Object.entries(access), cluster.nodeAccess)),
    field("Its hosts take", select("credentials", Object.entries(credentials), cluster.credentials)),
];
const settings = (values) => ({ address: values.address.trim() || undefined, port: Number(values.port), nodeAccess: values.nodeAccess, credentials: values.credentials });

async function change(cluster, place, refresh) {
    let answer;
    const done = await formDialog(`Change ${cluster.name}`, clusterFields(cluster), "Change it", async (values) => {
        answer = await call("PUT", `/api/v1/clusters/${at(cluster.name)}`, settings(values));
    });
    if (done) {
        await refresh();
        place.replaceChildren(...warnings(answer));
        say(`Changed the cluster ${cluster.name}.`);
    }
}

function clusterForm(place, refresh) {
    return form(
        [field("Name", input("name", { autocapitalize: "none", required: true, placeholder: "daint" })), ...clusterFields({ address: "", port: 22, nodeAccess: "job", credentials: "both" })],
        "Add the cluster",
        async (values) => {
            const name = values.name.trim();
            const answer = await call("POST", "/api/v1/clusters", { name, ...settings(values) });
            await refresh();
            place.replaceChildren(...warnings(answer));
            say(`Added the cluster ${name}. Projects reach it once you give it to them.`);
            return true;
        },
    );
}

function showCluster(cluster, hosts, show, place, refresh) {
    const place_ = [cluster.address && `${cluster.address}${cluster.port !== 22 ? ` port ${cluster.port}` : ""}`, access[cluster.nodeAccess], credentials[cluster.credentials]];
    return section(
        cluster.name,
        element(
            "div",
            { class: "tools" },
            element("p", {}, place_.filter(Boolean).join(" · ")),
            element("div", { class: "actions" }, action("Change", () => change(cluster, place, refresh), { class: "quiet", "aria-label": `Change ${cluster.name}` })),
        ),
        hosts.length > 0 ? rows(hosts.map(show), `Hosts of ${cluster.name}`) : empty("No host."),
    );
}

// ---- the page ------------------------------------------------------------------------------------

export function hostsPage() {
    const place = element("div", {});
    const list = live(async () => {
        const [{ clusters }, { hosts }] = await Promise.all([get("/api/v1/clusters"), get("/api/v1/hosts")]);
        const show = (host) => showHost(host, place, list.refresh);
        const jumps = hosts.filter((host) => host.role === "jump");
        return [
            element("details", { class: "make apart" }, element("summary", {}, "Add a cluster"), clusterForm(place, list.refresh)),
            clusters.length > 0 && element("details", { class: "make" }, element("summary", {}, "Add a host"), hostForm(clusters, place, list.refresh)),
            section("Jump hosts", jumps.length > 0 ? rows(jumps.map(show), "Jump hosts") : empty("None.")),
            ...clusters.map((cluster) =>
                showCluster(
                    cluster,
                    hosts.filter((host) => host.cluster === cluster.name),
                    show,
                    place,
                    list.refresh,
                ),
            ),
        ];
    });
    return [...adminHead("admin/hosts", "A host that was not heard of for long goes by what it knew last."), place, list.place];
}
