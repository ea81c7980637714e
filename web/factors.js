// How one signs in: password, one-time codes, recovery codes, passkeys.

import { create } from "/web/passkey.js";

import { call, get, Problem } from "./api.js";
import { authenticator, recoveryCodes } from "./authenticator.js";
import { newPassword } from "./password.js";
import { ago, count } from "./text.js";
import { action, badge, button, confirmEnd, element, field, form, formDialog, input, live, reveal, row, rows, say, section } from "./view.js";

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
        await call("DELETE", `/api/v1/auth/webauthn/passkeys/${passkey.id}`);
        say(`Removed the passkey ${passkey.name}.`);
        await refresh();
    }
}

async function newCodes(factors, place, refresh) {
    const ends = [`${count(factors.recoveryCodesLeft, "recovery code", "recovery codes")} that you have now`];
    if (factors.recoveryCodesLeft === 0 || (await confirmEnd("Make new recovery codes?", ends, "Make new ones"))) {
        const { recoveryCodes: codes } = await call("POST", "/api/v1/auth/recovery-codes");
        await refresh();
        reveal(place, element("div", { class: "result", tabindex: "-1" }, element("h3", {}, "Recovery codes"), ...recoveryCodes(codes)));
        say("Made ten recovery codes.");
    }
}

async function renamePasskey(passkey, refresh) {
    let name;
    const done = await formDialog(`Rename ${passkey.name}`, [field("Name", input("name", { maxlength: "128", value: passkey.name, required: true }))], "Rename it", async (values) => {
        name = values.name.trim();
        await call("PUT", `/api/v1/auth/webauthn/passkeys/${passkey.id}`, { name });
    });
    if (done) {
        say(`The passkey is called ${name} now.`);
        await refresh();
    }
}

// Nothing changes until a code of the new one was shown.
async function replaceAuthenticator(place, refresh) {
    const offer = await call("POST", "/api/v1/auth/totp");
    const confirm = async (totp) => {
        await call("POST", "/api/v1/auth/totp/confirm", { totp });
        place.replaceChildren();
        await refresh();
        say("Codes of the new authenticator count from now on, and those of the one before no more.");
    };
    const made = element(
        "div",
        { class: "panel apart", tabindex: "-1" },
        element("h3", {}, "Another authenticator"),
        element("p", { class: "hint" }, "The one you have stays good until you confirm this one by a code of it."),
        ...authenticator(
            offer,
            confirm,
            button("Keep the one I have", () => place.replaceChildren()),
        ),
    );
    reveal(place, made);
}

const showPasskey = (passkey, refresh) =>
    row(
        [`${passkey.name} `, badge(passkey.locked ? "locked" : "passkey", passkey.locked ? "bad" : "plain"), passkey.synced && " ", passkey.synced && badge("synced", "plain")],
        [
            passkey.locked && "Its counter went back, so there may be two of it: remove it, and add a new one.",
            `added ${ago(passkey.createTime)} · ${passkey.lastUseTime ? `last used ${ago(passkey.lastUseTime)}` : "never used"}`,
        ],
        action("Rename", () => renamePasskey(passkey, refresh), { class: "quiet", "aria-label": `Rename ${passkey.name}` }),
        action("Remove", () => removePasskey(passkey, refresh), { class: "danger quiet", "aria-label": `Remove ${passkey.name}` }),
    );

function passwordForm(who) {
    return form(
        [
            field("Present password", input("currentPassword", { type: "password", autocomplete: "current-password" })),
            ...newPassword("newPassword", "New password", who.username),
            element("p", { class: "hint apart" }, "Every session ends, this one as well; certificates stay good to their end."),
        ],
        "Change the password",
        async ({ currentPassword, newPassword: wanted }) => {
            await call("PUT", "/api/v1/auth/password", { currentPassword, newPassword: wanted });
            location.assign("/sign-in?place=security");
        },
    );
}

export function factorSection(who) {
    const place = element("div", {});
    const list = live(async () => {
        const factors = await get("/api/v1/auth/factors");
        return rows(
            [
                factors.password && row("Password", []),
                factors.totp && row("One-time codes", ["from an authenticator"], action("Replace", () => replaceAuthenticator(place, list.refresh), { class: "quiet", "aria-label": "Replace the authenticator" })),
                row("Recovery codes", [`${factors.recoveryCodesLeft} left`], action("Make new ones", () => newCodes(factors, place, list.refresh), { class: "quiet", "aria-label": "Make new ones: recovery codes" })),
                ...factors.passkeys.map((passkey) => showPasskey(passkey, list.refresh)),
            ].filter(Boolean),
            "Factors",
        );
    });
    const add = form([field("Name", input("name", { maxlength: "128", required: true, placeholder: "laptop" }))], "Add it", async (values) => {
        await addPasskey(values.name.trim() || "passkey");
        await list.refresh();
        return true;
    });
    return section(
        "How you sign in",
        list.place,
        place,
        element("details", {}, element("summary", {}, "Add a passkey or security key"), add),
        element("details", {}, element("summary", {}, "Change the password"), passwordForm(who)),
    );
}
