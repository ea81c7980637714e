// The audit log: who did what, with filters that the authority applies, and export of what they select.

import { adminHead } from "./admin_head.js";
import { get } from "./api.js";
import { when } from "./text.js";
import { action, badge, download, element, empty, field, input, paged, say } from "./view.js";

const PAGE_ROWS = 100;
const EXPORT_PAGE_ROWS = 1000;
const EXPORT_ROWS_MAX = 100000;
const columns = ["sequence", "time", "actor", "action", "target", "allowed", "code", "detail", "source", "requestId"];

function page(filter, limit, before) {
    const query = new URLSearchParams({ limit });
    for (const [name, value] of Object.entries({ ...filter, before })) {
        if (value) {
            query.set(name, value);
        }
    }
    return get(`/api/v1/audit?${query}`).then((answer) => answer.audit);
}

// RFC 4180. A cell that a spreadsheet would take for a formula gets an apostrophe.
const cell = (value) => `"${String(value).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;

async function exportRows(filter) {
    const lines = [columns.join(",")];
    let before;
    do {
        const audit = await page(filter, EXPORT_PAGE_ROWS, before);
        lines.push(...audit.map((event) => columns.map((name) => cell(event[name])).join(",")));
        before = audit.length === EXPORT_PAGE_ROWS ? audit.at(-1).sequence : undefined;
    } while (before && lines.length <= EXPORT_ROWS_MAX);
    download("audit.csv", `${lines.join("\r\n")}\r\n`);
    say(`Exported ${lines.length - 1} rows${before ? ", the newest; narrow the filters for older ones" : ""}.`);
}

const showEvent = (event) =>
    element(
        "tr",
        {},
        element("td", {}, element("time", { datetime: event.time }, when(event.time))),
        element("td", {}, event.actor),
        element("td", {}, event.action),
        element("td", {}, badge(event.allowed ? "allowed" : event.code, event.allowed ? "good" : "bad")),
        element("td", { class: "long" }, [event.target, event.detail].filter(Boolean).join(" · ")),
        element("td", {}, event.source),
    );

export function auditPage() {
    const heads = ["Time", "Actor", "Action", "Result", "What", "From"].map((text) => element("th", { scope: "col" }, text));
    let filter = { since: "7d" };
    const list = paged(
        "Audit log",
        async (before) => {
            const audit = await page(filter, PAGE_ROWS, before);
            return { items: audit, next: audit.length === PAGE_ROWS ? audit.at(-1).sequence : undefined };
        },
        showEvent,
        empty("Nothing of that kind."),
        (label, body) => element("div", { class: "table", tabindex: "0", role: "region", "aria-label": label }, element("table", { "aria-label": label }, element("thead", {}, element("tr", {}, ...heads)), body)),
    );
    const filters = element(
        "form",
        {
            class: "filters",
            "aria-label": "Filters",
            onsubmit: async (event) => {
                event.preventDefault();
                filter = Object.fromEntries(new FormData(filters));
                await list.refresh();
                say("Filtered.");
            },
        },
        field("Actor", input("actor", { placeholder: "alice" })),
        field("Action", input("action", { placeholder: "certificate." })),
        field("Since", input("since", { value: "7d" })),
        element("div", { class: "actions" }, element("button", { class: "main" }, "Filter"), action("Export", () => exportRows(filter))),
    );
    return [
        ...adminHead("admin/audit", "Everything that was done or refused. An action that ends in a dot stands for all that begin so."),
        element("div", { class: "log" }, filters, list.place),
    ];
}
