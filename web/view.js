// Elements are made by calls alone: what the API says is always text, never markup.

import { Problem } from "./api.js";

// element("a", {href: "#/keys", class: "quiet"}, "Keys", …): children are nodes, texts, or nothing (null, false).
export function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (key.startsWith("on")) {
            made.addEventListener(key.slice(2), value);
        } else if (value === true) {
            made.setAttribute(key, "");
        } else if (value !== false && value !== undefined && value !== null) {
            made.setAttribute(key, value);
        }
    }
    made.append(...children.flat().filter((child) => child !== null && child !== false && child !== undefined));
    return made;
}

export function svg(name, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) {
        made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
}

let ids = 0;
export const newId = (prefix) => `${prefix}-${++ids}`;

// ---- what happened ----------------------------------------------------------------------------

let hiding;

// Says what happened, to those who look and to those who listen.
export function say(text, kind = "done") {
    const said = document.getElementById("said");
    clearTimeout(hiding);
    said.replaceChildren(element("p", { class: kind }, text));
    if (kind === "done") {
        hiding = setTimeout(() => said.replaceChildren(), 8000);
    }
}

export function sayProblem(problem) {
    if (!(problem instanceof Problem)) {
        throw problem;
    }
    say(problem.message, "problem");
}

// A problem in its place, with the request that the authority's log knows.
export function notice(problem) {
    return element(
        "div",
        { class: "notice", role: "alert" },
        element("p", {}, problem.message),
        problem.requestId && element("p", { class: "hint" }, `${problem.code} · request ${problem.requestId}`),
    );
}

// ---- pieces -----------------------------------------------------------------------------------

export function button(text, onclick, attributes = {}) {
    return element("button", { type: "button", onclick, ...attributes }, text);
}

// Does work() unless it is under way already. The button keeps the focus, which one that is disabled would lose.
async function once(control, work) {
    if (control.hasAttribute("aria-disabled")) {
        return;
    }
    control.setAttribute("aria-disabled", "true");
    try {
        await work();
    } finally {
        control.removeAttribute("aria-disabled");
    }
}

// A button whose work takes a while: it cannot be pressed twice, and what goes wrong is said.
export function action(text, work, attributes = {}) {
    const made = button(text, () => once(made, () => work().catch(sayProblem)), attributes);
    return made;
}

export function section(title, ...children) {
    const id = newId("section");
    return element("section", { "aria-labelledby": id }, element("h2", { id }, title), ...children);
}

export const empty = (...children) => element("p", { class: "empty" }, ...children);

// A text to take along, with a button that copies it.
export function copyable(text, label) {
    return element(
        "div",
        { class: "copyable" },
        element("pre", { tabindex: "0", role: "region", "aria-label": label }, element("code", {}, text)),
        action(
            "Copy",
            async () => {
                await navigator.clipboard.writeText(text);
                say(`Copied: ${label}.`);
            },
            { class: "quiet", "aria-label": `Copy ${label}` },
        ),
    );
}

export function download(name, text) {
    const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    say(`Downloaded ${name}.`);
}

// Puts what was made where it is to be read, and leads there.
export function reveal(place, made) {
    place.replaceChildren(made);
    made.focus();
}

// One thing of a list: what it is, what is to be known of it, and what can be done with it.
export function row(title, details, ...side) {
    return element(
        "li",
        { class: "row" },
        element("div", { class: "what" }, element("p", { class: "title" }, ...[title].flat()), ...details.filter(Boolean).map(detail)),
        side.length > 0 && element("div", { class: "side" }, ...side),
    );
}

const detail = (text) => (text instanceof Node ? text : element("p", { class: "detail" }, text));

export const rows = (items, label) => element("ul", { class: "rows", "aria-label": label }, ...items);

export const badge = (text, kind) => element("span", { class: `badge ${kind}` }, text);

// ---- forms ------------------------------------------------------------------------------------

// A labelled control. `control` is an input, select or textarea with a name.
export function field(label, control, hint) {
    control.id ||= newId("field");
    const hintId = `${control.id}-hint`;
    if (hint) {
        control.setAttribute("aria-describedby", hintId);
    }
    return element(
        "div",
        { class: "field" },
        element("label", { for: control.id }, label),
        control,
        hint && element("p", { class: "hint", id: hintId }, hint),
    );
}

export const input = (name, attributes = {}) => element("input", { name, autocomplete: "off", spellcheck: "false", ...attributes });

export function select(name, options, chosen) {
    return element("select", { name }, ...options.map(([value, text]) => element("option", { value, selected: value === chosen }, text)));
}

// `label` is a text, or nodes.
export function checkbox(name, label, attributes = {}) {
    const id = newId("check");
    return element("div", { class: "check" }, element("input", { type: "checkbox", id, name, ...attributes }), element("label", { for: id }, ...[label].flat()));
}

// For those who listen alone.
export const unseen = (text) => element("span", { class: "unseen" }, text);

// A form that sends itself by `send(values)`; a refusal stands above its button and at the field that it names. One whose send gives
// true begins anew, and is folded away. `others` are buttons beside its own.
export function form(children, submitText, send, ...others) {
    const problemPlace = element("div", {});
    const submit = element("button", { class: "main" }, submitText);
    const made = element("form", { onsubmit, novalidate: true }, ...children, problemPlace, element("div", { class: "actions" }, submit, ...others));

    function mark(name) {
        for (const control of made.elements) {
            control.removeAttribute("aria-invalid");
        }
        const control = name && made.elements.namedItem(name);
        if (control instanceof HTMLElement) {
            control.setAttribute("aria-invalid", "true");
            control.focus();
        }
    }

    // What it was unfolded for is done.
    function fold() {
        const around = made.parentElement;
        if (around instanceof HTMLDetailsElement) {
            const focused = made.contains(document.activeElement);
            around.open = false;
            if (focused) {
                around.querySelector("summary").focus();
            }
        }
    }

    function onsubmit(event) {
        event.preventDefault();
        once(submit, attempt);
    }

    async function attempt() {
        problemPlace.replaceChildren();
        mark(undefined);
        try {
            if (await send(Object.fromEntries(new FormData(made)))) {
                made.reset();
                fold();
            }
        } catch (problem) {
            if (!(problem instanceof Problem)) {
                throw problem;
            }
            problemPlace.replaceChildren(notice(problem));
            mark(problem.field);
        }
    }
    return made;
}

// ---- dialogs ----------------------------------------------------------------------------------

// Shows a dialog; resolves to what it was closed with. The focus goes back to where it was.
function openDialog(title, make) {
    const id = newId("dialog");
    const dialog = element("dialog", { "aria-labelledby": id }, element("h2", { id }, title));
    dialog.append(...make(dialog));
    document.body.append(dialog);
    const before = document.activeElement;
    dialog.showModal();
    return new Promise((resolve) => {
        dialog.addEventListener("close", () => {
            dialog.remove();
            before?.focus();
            resolve(dialog.returnValue);
        });
    });
}

// Asks before something ends. `ends` names it: texts, one a line. Resolves to whether to go on.
export async function confirmEnd(title, ends, goOn) {
    const answer = await openDialog(title, (dialog) => [
        element("ul", { class: "ends" }, ...ends.map((line) => element("li", {}, line))),
        element(
            "div",
            { class: "actions" },
            button("Keep", () => dialog.close("keep"), { autofocus: true }),
            button(goOn, () => dialog.close("end"), { class: "danger" }),
        ),
    ]);
    return answer === "end";
}

// A form by itself. Resolves to whether it was sent, and taken.
export async function formDialog(title, children, submitText, send) {
    const answer = await openDialog(title, (dialog) => [
        form(
            children,
            submitText,
            async (values) => {
                await send(values);
                dialog.close("sent");
            },
            button("Cancel", () => dialog.close("")),
        ),
    ]);
    return answer === "sent";
}

// ---- what takes a while, and lists that come in pages -------------------------------------------

// What a load gives, or the notice of its refusal.
async function outcome(load) {
    try {
        return [await load()].flat();
    } catch (problem) {
        if (!(problem instanceof Problem)) {
            throw problem;
        }
        return [notice(problem)];
    }
}

// A place that is filled by load(), and again by the function that it gives. Of several under way the last one counts.
export function live(load) {
    const place = element("div", { class: "live", tabindex: "-1" });
    let latest = 0;
    const refresh = async () => {
        const turn = ++latest;
        place.setAttribute("aria-busy", "true");
        const made = await outcome(load);
        if (turn === latest) {
            const focused = place.contains(document.activeElement);
            place.replaceChildren(...made.filter(Boolean));
            place.setAttribute("aria-busy", "false");
            if (focused) {
                place.focus(); // what had it is gone
            }
        }
    };
    refresh();
    return { place, refresh };
}

// A list whose next page is asked for by page(cursor), which gives {items, next}; next is undefined at the end. It is a list, or
// what wrap(label, body) makes of a table's body.
export function paged(label, page, show, none, wrap) {
    let list, next;
    const more = action("Show more", append, { class: "more" });

    function add(answer) {
        const made = answer.items.map(show);
        list.append(...made);
        next = answer.next;
        more.hidden = next === undefined;
        return made;
    }

    // To the list that asked for it, which may have been begun anew meanwhile.
    async function append() {
        const asking = list;
        const focused = document.activeElement === more;
        const answer = await page(next);
        if (list === asking) {
            const made = add(answer);
            if (focused) {
                made[0]?.querySelector("a, button, input")?.focus();
            }
        }
    }

    return live(async () => {
        const begun = wrap ? element("tbody", {}) : rows([], label);
        list = begun;
        const answer = await page(undefined);
        if (list === begun) {
            add(answer);
        }
        return begun.childElementCount > 0 || next !== undefined ? [wrap ? wrap(label, begun) : begun, more] : none;
    });
}
