// Project: for its managers. Who is in it, and the service accounts and API keys that act for it.

import { call, get } from "./api.js";
import { invited } from "./invited.js";
import { ago, count, when } from "./text.js";
import { action, badge, confirmEnd, copyable, element, empty, field, form, input, live, reveal, row, rows, say, section, select } from "./view.js";

const at = (name) => encodeURIComponent(name);
const places = (subnets) => (subnets.length > 0 ? `from ${subnets.join(", ")}` : "from everywhere");
const words = (text) => text.split(/[\s,]+/).filter(Boolean);
const orNothing = (list) => (list.length > 0 ? list : undefined);

// ---- members ------------------------------------------------------------------------------------

async function removeMember(project, member, refresh) {
    const ends = [`${member.username} is no longer a ${member.role} of ${project.name}.`, "Certificates, keys and sessions that only this project gave a reason for end everywhere."];
    if (await confirmEnd(`Remove ${member.username} from ${project.name}?`, ends, "Remove")) {
        await call("DELETE", `/api/v1/projects/${at(project.name)}/members/${at(member.username)}`);
        say(`Removed ${member.username} from ${project.name}.`);
        await refresh();
    }
}

async function setRole(project, member, role, refresh) {
    await call("PUT", `/api/v1/projects/${at(project.name)}/members/${at(member.username)}`, { role });
    say(`${member.username} is a ${role} of ${project.name}.`);
    await refresh();
}

function memberDeeds(project, member, refresh) {
    const [other, text] = member.role === "manager" ? ["member", "Make member"] : ["manager", "Make manager"];
    return [
        action(text, () => setRole(project, member, other, refresh), { class: "quiet", "aria-label": `${text}: ${member.username}` }),
        action("Remove", () => removeMember(project, member, refresh), { class: "danger quiet", "aria-label": `Remove ${member.username}` }),
    ];
}

// For somebody who has no account yet.
function inviteForm(project, place, refresh) {
    return form(
        [field("User name", input("name", { autocapitalize: "none", required: true })), field("Name", input("displayName", { maxlength: "128" }))],
        "Invite",
        async (values) => {
            const name = values.name.trim();
            const answer = await call("POST", `/api/v1/projects/${at(project.name)}/invitations`, { name, displayName: values.displayName || undefined });
            await refresh();
            reveal(place, invited(name, answer));
            say(`Made an account for ${name}, who is a member of ${project.name}.`);
            return true;
        },
    );
}

function members(project, who, place, refresh) {
    const add = form(
        [
            element("div", { class: "side-by-side" }, field("User name", input("username", { autocapitalize: "none", required: true })), field("As", select("role", [["member", "member"], ["manager", "manager"]], "member"))),
        ],
        "Add",
        async (values) => {
            await call("PUT", `/api/v1/projects/${at(project.name)}/members/${at(values.username.trim())}`, { role: values.role });
            say(`${values.username.trim()} is a ${values.role} of ${project.name}.`);
            await refresh();
        },
    );
    return [
        rows(
            project.members.map((member) =>
                row(
                    [`${member.username} `, member.role === "manager" && badge("manager", "plain")],
                    [],
                    ...(member.username === who.username ? [] : memberDeeds(project, member, refresh)),
                ),
            ),
            `Members of ${project.name}`,
        ),
        place,
        element("details", {}, element("summary", {}, "Add a member"), add),
        element("details", {}, element("summary", {}, "Invite somebody who has no account"), inviteForm(project, place, refresh)),
    ];
}

// ---- clusters -------------------------------------------------------------------------------------

async function withdraw(project, cluster, refresh) {
    const ends = [`${count(project.members.length, "member", "members")} and the service accounts of ${project.name}, where no other project of theirs reaches ${cluster}`, "Their sessions there end, and their certificates are taken there no more."];
    if (await confirmEnd(`Take ${cluster} from ${project.name}?`, ends, "Take away")) {
        await call("DELETE", `/api/v1/projects/${at(project.name)}/clusters/${at(cluster)}`);
        say(`${project.name} no longer reaches ${cluster}.`);
        await refresh();
    }
}

// Administrators give clusters; managers see them.
function clusters(project, who, all, refresh) {
    if (!who.administrator) {
        return [element("p", {}, project.clusters.length > 0 ? `Reaches ${project.clusters.join(", ")}.` : "Reaches no cluster yet.")];
    }
    const left = all.filter((name) => !project.clusters.includes(name));
    const give = form([field("Cluster", select("cluster", left.map((name) => [name, name])))], "Give", async (values) => {
        await call("PUT", `/api/v1/projects/${at(project.name)}/clusters/${at(values.cluster)}`);
        say(`${project.name} reaches ${values.cluster}.`);
        await refresh();
    });
    give.classList.add("filters");
    return [
        element("h3", {}, "Clusters"),
        project.clusters.length > 0
            ? rows(
                  project.clusters.map((name) => row(name, [], action("Take away", () => withdraw(project, name, refresh), { class: "danger quiet", "aria-label": `Take away ${name} from ${project.name}` }))),
                  `Clusters of ${project.name}`,
              )
            : empty("None: its members reach nothing yet."),
        left.length > 0 && element("details", {}, element("summary", {}, "Give a cluster"), give),
    ];
}

const obtained = { session: "by signing in", "api-key": "by an API key", grant: "by an automation grant", portal: "by a portal" };

function certificates(project) {
    return live(async () => {
        const answer = await get(`/api/v1/projects/${at(project.name)}/certificates`);
        if (answer.certificates.length === 0) {
            return empty("No member has a valid certificate now.");
        }
        const show = (certificate) =>
            row(certificate.username, [
                `until ${when(certificate.expireTime)} · signed ${ago(certificate.createTime)}, ${obtained[certificate.obtainedBy]}`,
                element("p", { class: "detail code" }, certificate.fingerprint),
            ]);
        return [rows(answer.certificates.map(show), `Certificates of ${project.name}`), !answer.complete && element("p", { class: "hint" }, "There are more.")];
    }).place;
}

// ---- service accounts -----------------------------------------------------------------------------

async function revokeKey(account, key, refresh) {
    if (await confirmEnd(`Revoke the API key ${key.name}?`, [`${key.hint}… of ${account.name}`, "Its sessions and the certificates that it got end everywhere."], "Revoke")) {
        await call("DELETE", `/api/v1/service-accounts/${at(account.name)}/api-keys/${key.id}`);
        say(`Revoked the API key ${key.name}.`);
        await refresh();
    }
}

function keyRow(account, key, refresh) {
    const ended = key.revoked || new Date(key.expireTime) <= Date.now();
    return row(
        [`${key.name} `, badge(key.revoked ? "revoked" : ended ? "expired" : "valid", key.revoked ? "bad" : ended ? "plain" : "good")],
        [
            `${key.clusters.length > 0 ? key.clusters.join(", ") : "all clusters"}; ${places(key.ipSubnets)}; until ${when(key.expireTime)}`,
            key.lastUsedTime ? `last used ${ago(key.lastUsedTime)}` : "never used",
            element("p", { class: "detail code" }, `${key.hint}…`),
        ],
        ...(ended ? [] : [action("Revoke", () => revokeKey(account, key, refresh), { class: "danger quiet", "aria-label": `Revoke ${key.name}` })]),
    );
}

function keyForm(account, shown, refresh) {
    return form(
        [
            field("Name", input("name", { maxlength: "128", required: true }), "What it is for."),
            field("Good for", input("expiresIn", { placeholder: "90d" }), "Such as 90d; empty: as long as the site gives."),
            field("Networks", input("ipSubnets", { placeholder: "192.0.2.0/24" }), "From where it may be used; empty: from everywhere."),
            field("Clusters", input("clusters"), "Empty: all that the project reaches."),
        ],
        "Make an API key",
        async (values) => {
            const made = await call("POST", `/api/v1/service-accounts/${at(account.name)}/api-keys`, {
                name: values.name,
                expiresIn: values.expiresIn || undefined,
                ipSubnets: orNothing(words(values.ipSubnets)),
                clusters: orNothing(words(values.clusters)),
            });
            shown.replaceChildren(
                element("div", { class: "result" }, element("h3", {}, "The API key"), element("p", {}, "It is shown this once."), copyable(made.apiKey, "the API key")),
            );
            say(`Made the API key ${values.name}.`);
            await refresh();
            return true;
        },
    );
}

function serviceAccount(account) {
    const shown = element("div", {});
    const list = live(async () => {
        const { apiKeys } = await get(`/api/v1/service-accounts/${at(account.name)}/api-keys`);
        return apiKeys.length > 0 ? rows(apiKeys.map((key) => keyRow(account, key, list.refresh)), `API keys of ${account.name}`) : empty("It has no API key.");
    });
    return element(
        "div",
        { class: "part" },
        element("h4", {}, account.name, account.disabled && " ", account.disabled && badge("disabled", "bad")),
        list.place,
        shown,
        element("details", {}, element("summary", {}, `Make an API key of ${account.name}`), keyForm(account, shown, list.refresh)),
    );
}

function serviceAccounts(project) {
    const list = live(async () => {
        const { accounts } = await get(`/api/v1/service-accounts?project=${at(project.name)}`);
        return accounts.length > 0 ? accounts.map(serviceAccount) : empty("None. A service account is how a portal or a workflow signs in, by an API key.");
    });
    const add = form([field("Name", input("name", { autocapitalize: "none", required: true }))], "Make it", async (values) => {
        await call("POST", "/api/v1/service-accounts", { name: values.name.trim(), project: project.name });
        say(`Made the service account ${values.name.trim()}.`);
        await list.refresh();
        return true;
    });
    return [list.place, element("details", {}, element("summary", {}, "Make a service account"), add)];
}

// ---- the page -----------------------------------------------------------------------------------

// What a project is made of. `heard` is told what it is by now, each time.
export function projectBody(name, who, heard = () => {}) {
    const place = element("div", {});
    const list = live(async () => {
        const [{ project }, all] = await Promise.all([get(`/api/v1/projects/${at(name)}`), who.administrator ? get("/api/v1/clusters") : { clusters: [] }]);
        heard(project);
        return [
            ...clusters(project, who, all.clusters.map((cluster) => cluster.name), list.refresh),
            element("h3", {}, "Members"),
            ...members(project, who, place, list.refresh),
            element("h3", {}, "Certificates"),
            certificates(project),
            element("h3", {}, "Service accounts"),
            ...serviceAccounts(project),
        ];
    });
    return list.place;
}

export function projectPage({ who }) {
    const managed = who.projects.filter((project) => project.role === "manager");
    return [
        element("h1", {}, managed.length === 1 ? "Project" : "Projects"),
        element("p", { class: "lede" }, "Who is in, and what acts for it. Nobody gets more than the project has."),
        ...(managed.length > 0 ? managed.map((project) => section(project.name, projectBody(project.name, who))) : [element("section", { "aria-label": "Projects" }, empty("You manage no project."))]),
    ];
}
