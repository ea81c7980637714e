// How one signs in: password, one-time codes, recovery codes, passkeys.

import { create } from "/web/passkey.js";

import { call, get, Problem, signInAgain } from "./api.js";
import { ago, count } from "./text.js";
import { action, badge, confirmEnd, copyable, element, field, form, input, live, row, rows, say, section } from "./view.js";

// Changing these asks for a sign-in of the last minutes.
async function recently(work) {
    try {
        return await work();
    } catch (problem) {
        if (problem.code === "sign_in_needed" && (await confirmEnd("Sign in again?", [problem.message, "This session ends; you come back to this page."], "Sign in"))) {
            return signInAgain();
        }
        throw problem;
    }
}

// What the browser says when it makes none.
function refusal(error) {
    const messages = {
        InvalidStateError: "This authenticator is registered for your account already.",
        NotAllowedError: "It was cancelled, or took too long.",
        SecurityError: "The browser allows no passkeys here: open this page by the authority's own name.",
    };
    return new Problem(0, { code: "browser", message: messages[error.name] ?? `The browser could not do that: ${error.message}` });
}

async function addPasskey(name) {
    const options = await call("POST", "/api/v1/auth/webauthn/registration");
    const made = await create(options).catch((error) => {
        throw refusal(error);
    });
    await call("POST", "/api/v1/auth/webauthn/passkeys", { name, ...made });
    say(`Added the passkey ${name}.`);
}

async function removePasskey(passkey, refresh) {
    if (await confirmEnd(`Remove the passkey ${passkey.name}?`, ["It lets nobody sign in any more. Sessions that it opened go on."], "Remove")) {
        await recently(() => call("DELETE", `/api/v1/auth/webauthn/passkeys/${passkey.id}`));
        say(`Removed the passkey ${passkey.name}.`);
        await refresh();
    }
}

async function newCodes(factors, place, refresh) {
    const ends = [`${count(factors.recoveryCodesLeft, "recovery code", "recovery codes")} that you have now`];
    if (factors.recoveryCodesLeft === 0 || (await confirmEnd("Make new recovery codes?", ends, "Make new ones"))) {
        const { recoveryCodes } = await recently(() => call("POST", "/api/v1/auth/recovery-codes"));
        place.replaceChildren(
            element("div", { class: "result" }, element("h3", {}, "Recovery codes"), element("p", {}, "They are shown this once. Each stands in for a one-time code, once: keep them apart from your password."), copyable(recoveryCodes.join("\n"), "the recovery codes")),
        );
        say("Made ten recovery codes.");
        await refresh();
    }
}

const showPasskey = (passkey, refresh) =>
    row(
        [`${passkey.name} `, badge(passkey.locked ? "locked" : "passkey", passkey.locked ? "bad" : "plain"), passkey.synced && " ", passkey.synced && badge("synced", "plain")],
        [
            passkey.locked && "Its counter went back, so there may be two of it: remove it, and add a new one.",
            `added ${ago(passkey.createTime)} · ${passkey.lastUseTime ? `last used ${ago(passkey.lastUseTime)}` : "never used"}`,
        ],
        action("Remove", () => removePasskey(passkey, refresh), { class: "danger quiet", "aria-label": `Remove ${passkey.name}` }),
    );

function passwordForm() {
    return form(
        [
            field("Present password", input("currentPassword", { type: "password", autocomplete: "current-password" })),
            field("New password", input("newPassword", { type: "password", autocomplete: "new-password" }), "Twelve characters or more. Every session ends, this one as well."),
        ],
        "Change the password",
        async (values) => {
            await recently(() => call("PUT", "/api/v1/auth/password", values));
            location.assign("/sign-in?place=security");
        },
    );
}

export function factorSection() {
    const place = element("div", {});
    const list = live(async () => {
        const factors = await get("/api/v1/auth/factors");
        return rows(
            [
                factors.password && row("Password", []),
                factors.totp && row("One-time codes", ["from an authenticator"]),
                row("Recovery codes", [`${factors.recoveryCodesLeft} left`], action("Make new ones", () => newCodes(factors, place, list.refresh), { class: "quiet" })),
                ...factors.passkeys.map((passkey) => showPasskey(passkey, list.refresh)),
            ].filter(Boolean),
            "Factors",
        );
    });
    const add = form([field("Name", input("name", { maxlength: "128", required: true, placeholder: "laptop" }))], "Add it", async (values) => {
        await recently(() => addPasskey(values.name.trim() || "passkey"));
        await list.refresh();
        return true;
    });
    return section(
        "How you sign in",
        list.place,
        place,
        element("details", {}, element("summary", {}, "Add a passkey or security key"), add),
        element("details", {}, element("summary", {}, "Change the password"), passwordForm()),
    );
}
