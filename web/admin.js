// Admin: accounts.

import { adminHead } from "./admin_head.js";
import { call, get } from "./api.js";
import { invited } from "./invited.js";
import { action, badge, checkbox, confirmEnd, element, empty, field, form, formDialog, input, paged, reveal, row, say } from "./view.js";

const PAGE_ROWS = 50;
const of = (account, rest = "") => `/api/v1/accounts/${encodeURIComponent(account.name)}${rest}`;

// ---- one account ----------------------------------------------------------------------------------

const quota = (value) => input("quotaPerDay", { type: "number", min: "0", max: "100000", value: String(value) });

// What differs from what the account has, as the API takes it.
function changes(account, values) {
    const wanted = {
        displayName: values.displayName,
        email: values.email,
        quotaPerDay: Number(values.quotaPerDay),
        ...(account.kind === "person" && { administrator: values.administrator === "on" }),
    };
    return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => value !== account[name]));
}

async function change(account, refresh) {
    const done = await formDialog(
        `Change ${account.name}`,
        [
            field("Name", input("displayName", { maxlength: "128", value: account.displayName })),
            field("Email", input("email", { type: "email", maxlength: "128", value: account.email })),
            field("Certificates a day", quota(account.quotaPerDay), "0: as many as the site gives."),
            account.kind === "person" && checkbox("administrator", "administrator of this site", { checked: account.administrator }),
        ].filter(Boolean),
        "Change it",
        (values) => call("PUT", of(account), changes(account, values)),
    );
    if (done) {
        say(`Changed ${account.name}.`);
        await refresh();
    }
}

async function invite(account, place) {
    reveal(place, invited(account.name, await call("POST", of(account, "/invitation"))));
    say(`Made an invitation for ${account.name}.`);
}

async function reset(account, place, refresh) {
    const ends = [
        `The password, the authenticator, passkeys and recovery codes of ${account.name}`,
        `Every session of ${account.name}`,
        "Certificates stay good to their end; disable the account to end those.",
    ];
    if (await confirmEnd(`Reset how ${account.name} signs in?`, ends, "Reset")) {
        const answer = await call("POST", of(account, "/reset-factors"));
        await refresh();
        reveal(place, invited(account.name, answer));
        say(`${account.name} has no way to sign in until the new invitation is accepted.`);
    }
}

async function setDisabled(account, disabled, refresh) {
    const ends = [`${account.name}: every session, certificate, registered key, API key and grant`, "What is open on gates and hosts is cut."];
    if (!disabled || (await confirmEnd(`Disable ${account.name}?`, ends, "Disable"))) {
        await call("PUT", of(account), { disabled });
        say(disabled ? `${account.name} is disabled; everything of it has ended.` : `${account.name} may sign in again.`);
        await refresh();
    }
}

function deeds(account, who, place, refresh) {
    const deed = (text, work, kind = "quiet") => action(text, work, { class: kind, "aria-label": `${text} ${account.name}` });
    const person = account.kind === "person" && !account.disabled;
    const own = account.name === who.username;
    return [
        deed("Change", () => change(account, refresh)),
        person && !account.enrolled && deed("Invite", () => invite(account, place)),
        person && account.enrolled && !own && deed("Reset sign-in", () => reset(account, place, refresh), "danger quiet"),
        !own && account.disabled && deed("Enable", () => setDisabled(account, false, refresh)),
        !own && !account.disabled && deed("Disable", () => setDisabled(account, true, refresh), "danger quiet"),
    ].filter(Boolean);
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
            [
                ...account.projects.map((project) => (project.role === "manager" ? `${project.name} (manager)` : project.name)),
                account.quotaPerDay > 0 && `at most ${account.quotaPerDay} certificates a day`,
            ]
                .filter(Boolean)
                .join(", "),
        ],
        ...deeds(account, who, place, refresh),
    );
}

// ---- the page -------------------------------------------------------------------------------------

function makeForm(place, refresh) {
    return form(
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
            await refresh();
            reveal(place, invited(made.account.name, made));
            say(`Made the account ${made.account.name}.`);
            return true;
        },
    );
}

export function accountsPage({ who }) {
    const place = element("div", {});
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
    return [
        ...adminHead("admin", "Who may sign in, and what ends when they may not."),
        element(
            "div",
            { class: "log" },
            element("h2", { class: "unseen" }, "All accounts"),
            element("details", { class: "make" }, element("summary", {}, "Make an account"), makeForm(place, list.refresh)),
            place,
            list.place,
        ),
    ];
}
