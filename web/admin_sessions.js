// The sessions that live at the gates, and a way to cut them.

import { adminHead } from "./admin_head.js";
import { call, get } from "./api.js";
import { bytes, length, secondsUntil } from "./text.js";
import { action, confirmEnd, element, empty, field, form, input, paged, row, say } from "./view.js";

const PAGE_ROWS = 50;

const goesTo = (session) => (session.destinations.length > 0 ? `to ${session.destinations.join(", ")}` : "no channel open");

async function cut(session, refresh) {
    const ends = [`${session.account}, from ${session.source} through ${session.gate}, ${goesTo(session)}`, "Who may still log in can come back: disable the account or revoke the certificate to keep them out."];
    if (await confirmEnd(`Cut the session of ${session.account}?`, ends, "Cut")) {
        await call("DELETE", `/api/v1/gate-sessions/${encodeURIComponent(session.id)}`);
        say(`The gate ${session.gate} was told to end the session of ${session.account}.`);
        await refresh();
    }
}

const show = (session, refresh) =>
    row(
        session.account,
        [
            `from ${session.source} through ${session.gate}, ${goesTo(session)}`,
            `for ${length(-secondsUntil(session.sinceTime))} · ${bytes(session.bytesIn)} in, ${bytes(session.bytesOut)} out`,
            element("p", { class: "detail code" }, session.serialNumber ? `certificate ${session.serialNumber}` : (session.keyFingerprint ?? "password, to register keys")),
        ],
        action("Cut", () => cut(session, refresh), { class: "danger quiet", "aria-label": `Cut the session of ${session.account}` }),
    );

export function sessionsPage() {
    let filter = {};
    const list = paged(
        "Live sessions",
        async (before) => {
            const query = new URLSearchParams({ limit: PAGE_ROWS });
            for (const [name, value] of Object.entries({ ...filter, before })) {
                if (value) {
                    query.set(name, value);
                }
            }
            const { sessions } = await get(`/api/v1/gate-sessions?${query}`);
            return { items: sessions, next: sessions.length === PAGE_ROWS ? sessions.at(-1).id : undefined };
        },
        (session) => show(session, list.refresh),
        empty("No session lives at a gate now."),
    );
    const filters = form([field("Account", input("account", { placeholder: "alice" })), field("Gate", input("gate", { placeholder: "ela" }))], "Look", async (values) => {
        filter = values;
        await list.refresh();
        say("Looked again.");
    });
    filters.classList.add("filters");
    return [...adminHead("admin/sessions", "Who is inside now, by what, and where to. A new session is here within seconds."), element("div", { class: "log" }, filters, list.place)];
}
