// Accepting an invitation: a password, an authenticator, recovery codes; then the dashboard.
//
// The invitation stands after the # of the address, which no browser sends anywhere. It is taken out of the address at once, so that
// it stays in no history, and is kept by this page alone.

import { ask, call, Problem, site } from "./api.js";
import { authenticator, recoveryCodes } from "./authenticator.js";
import { newPassword } from "./password.js";
import { when } from "./text.js";
import { action, download, element, field, form, input, notice, say } from "./view.js";

const steps = ["Password", "Authenticator", "Recovery"];

function show(step, title, lede, ...rest) {
    const heading = element("h1", { tabindex: "-1" }, title);
    document.getElementById("main").replaceChildren(
        ...[
            step !== undefined &&
                element(
                    "ol",
                    { class: "steps", "aria-label": "Steps" },
                    ...steps.map((name, index) => element("li", { class: index < step ? "done" : undefined, "aria-current": index === step ? "step" : undefined }, name)),
                ),
            heading,
            lede && element("p", { class: "lede" }, lede),
            ...rest,
        ].filter(Boolean),
    );
    document.title = `${title} – ${document.getElementById("site").textContent}`;
    if (step > 0) {
        scrollTo(0, 0);
        heading.focus();
    }
}

function refused(problem) {
    show(undefined, "This invitation cannot be used", undefined, notice(problem), element("p", { class: "apart" }, "Have you accepted it already? Then ", element("a", { href: "/" }, "sign in"), "."));
}

function choosePassword(invitation, about) {
    const send = async (values) => {
        const offer = await ask("POST", "/api/v1/auth/invitation", { invitation, password: values.password });
        confirmCode(invitation, about, offer);
    };
    const name = input("username", { value: about.username, readonly: true, autocomplete: "username" });
    show(
        0,
        about.displayName ? `Welcome, ${about.displayName}` : "Welcome",
        `Set up your account here, in a few minutes. The invitation is good until ${when(about.expireTime)}, once.`,
        form([field("Your user name", name), ...newPassword("password", "Choose a password", about.username)], "Go on", send),
    );
}

function confirmCode(invitation, about, offer) {
    const confirm = async (totp) => {
        await ask("POST", "/api/v1/auth/invitation/confirm", { invitation, totp, session: "browser" });
        const { recoveryCodes: codes } = await call("POST", "/api/v1/auth/recovery-codes");
        keepCodes(about, codes);
    };
    show(1, "Add an authenticator", "An app on your phone or computer makes a code for each sign-in, so that a password alone opens nothing.", ...authenticator(offer, confirm));
}

function keepCodes(about, codes) {
    const file = `recovery-codes-${about.username}.txt`;
    show(
        2,
        "Keep your recovery codes",
        "For the day you are without your authenticator.",
        element("div", { class: "panel" }, ...recoveryCodes(codes)),
        element(
            "div",
            { class: "actions apart" },
            element("a", { class: "main", href: "/" }, "Go to the dashboard"),
            action("Download them", async () => download(file, `${codes.join("\n")}\n`)),
        ),
    );
    say("You are signed in.");
}

async function start() {
    const invitation = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    try {
        const here = await site();
        document.getElementById("site").textContent = here.title || here.site;
        if (invitation === "") {
            throw new Problem(0, { code: "no_invitation", message: "There is no invitation in this address. Open the link once more as it was sent to you, to its very end." });
        }
        choosePassword(invitation, await ask("POST", "/api/v1/auth/invitation/about", { invitation }));
    } catch (problem) {
        if (!(problem instanceof Problem)) {
            throw problem;
        }
        refused(problem);
    }
}

start();
