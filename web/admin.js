// Admin: accounts.

import { adminHead } from "./admin_head.js";
import { call, get } from "./api.js";
import { when } from "./text.js";
import { action, badge, checkbox, confirmEnd, copyable, element, empty, field, form, input, paged, row, say, section } from "./view.js";

const PAGE_ROWS = 50;
const at = (name) => encodeURIComponent(name);

function invited(name, { invitation, invitationUrl, invitationExpireTime }) {
    return element(
        "div",
        { class: "result", tabindex: "-1" },
        element("h3", {}, `The invitation of ${name}`),
        element("p", {}, `It is shown this once, and good until ${when(invitationExpireTime)}. Send it over a channel that you trust: whoever opens the link first is ${name}.`),
        copyable(invitationUrl, `the link for ${name}`),
        element("details", {}, element("summary", {}, "At a terminal instead"), copyable(`postern init ${location.origin}\npostern login --invitation ${invitation}`, `the commands for ${name}`)),
    );
}

async function invite(account, place) {
    const ends = [`Once ${account.name} accepts it, the password and the second factor of now end, and every session.`];
    if (!account.enrolled || (await confirmEnd(`Invite ${account.name} anew?`, ends, "Invite"))) {
        place.replaceChildren(invited(account.name, await call("POST", `/api/v1/accounts/${at(account.name)}/invitation`)));
        say(`Made an invitation for ${account.name}.`);
    }
}

async function setDisabled(account, disabled, refresh) {
    const ends = [`${account.name}: every session, certificate, registered key, API key and grant`, "What is open on gates and hosts is cut."];
    if (!disabled || (await confirmEnd(`Disable ${account.name}?`, ends, "Disable"))) {
        await call("PUT", `/api/v1/accounts/${at(account.name)}`, { disabled });
        say(disabled ? `${account.name} is disabled; everything of it has ended.` : `${account.name} may sign in again.`);
        await refresh();
    }
}

function showAccount(account, who, place, refresh) {
    const person = account.kind === "person";
    const marks = [
        account.disabled && badge("disabled", "bad"),
        account.administrator && badge("administrator", "plain"),
        !person && badge("service", "plain"),
        person && !account.enrolled && badge("invited", "warn"),
    ].filter(Boolean);
    return row(
        [`${account.name} `, ...marks.flatMap((mark) => [mark, " "])],
        [
            [account.displayName, account.email].filter(Boolean).join(", "),
            account.projects.length > 0 && account.projects.map((project) => (project.role === "manager" ? `${project.name} (manager)` : project.name)).join(", "),
        ],
        ...(person && !account.disabled ? [action("Invite", () => invite(account, place), { class: "quiet", "aria-label": `Invite ${account.name}` })] : []),
        ...(account.name === who.username
            ? []
            : [
                  account.disabled
                      ? action("Enable", () => setDisabled(account, false, refresh), { class: "quiet", "aria-label": `Enable ${account.name}` })
                      : action("Disable", () => setDisabled(account, true, refresh), { class: "danger quiet", "aria-label": `Disable ${account.name}` }),
              ]),
    );
}

export function accountsPage({ who }) {
    const place = element("div", { role: "status" });
    const list = paged(
        "Accounts",
        async (cursor) => {
            const query = new URLSearchParams({ limit: PAGE_ROWS, ...(cursor && { after: cursor }) });
            const { accounts } = await get(`/api/v1/accounts?${query}`);
            return { items: accounts, next: accounts.length === PAGE_ROWS ? accounts.at(-1).name : undefined };
        },
        (account) => showAccount(account, who, place, list.refresh),
        empty("None."),
    );
    const add = form(
        [
            field("User name", input("name", { autocapitalize: "none", required: true })),
            field("Name", input("displayName", { maxlength: "128" })),
            field("Email", input("email", { type: "email", maxlength: "128" })),
            checkbox("administrator", "administrator of this site"),
        ],
        "Make the account",
        async (values) => {
            const made = await call("POST", "/api/v1/accounts", {
                name: values.name.trim(),
                displayName: values.displayName || undefined,
                email: values.email || undefined,
                administrator: values.administrator === "on",
            });
            place.replaceChildren(invited(made.account.name, made));
            say(`Made the account ${made.account.name}.`);
            await list.refresh();
            return true;
        },
    );
    return [
        ...adminHead("admin", "Who may sign in, and what ends when they may not."),
        section("Accounts", place, list.place, element("details", {}, element("summary", {}, "Make an account"), add)),
    ];
}
