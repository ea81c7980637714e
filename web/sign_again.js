// Signing in without leaving the page: when the session has ended, or when a step asks for a sign-in of the last minutes. What was
// typed stays where it is.

import { ask, leaveToSignIn } from "./api.js";
import { button, element, field, formDialog, input } from "./view.js";

// Resolves to whether they did. `reason` is said.
export function signInHere(username, reason) {
    return formDialog(
        "Sign in again",
        [
            element("p", { class: "lede" }, reason),
            field("User name", input("username", { value: username, readonly: true, autocomplete: "username" })),
            field("Password", input("password", { type: "password", autocomplete: "current-password", required: true, autofocus: true })),
            field("Code from your authenticator", input("totp", { autocomplete: "one-time-code", autocapitalize: "characters", maxlength: "32", required: true }), "Six digits, or a recovery code; each works once."),
            element("p", { class: "hint" }, "With a passkey instead: ", button("on a page of its own", leaveToSignIn, { class: "inline" }), "."),
        ],
        "Sign in",
        (values) => ask("POST", "/api/v1/auth/login", { username, password: values.password, totp: values.totp.replace(/\s/g, ""), session: "browser" }),
    );
}
