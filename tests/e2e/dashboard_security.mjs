// How bob signs in, changed in the browser; and signing in again without losing what was typed.

import { execFileSync } from "node:child_process";
import { code, end, LAPTOP, look, must, open, plugIn, settings, story, tellComplaints } from "./browser.mjs";
import { elsewhere, formOf, go, said, settled, signIn } from "./dashboard_steps.mjs";

const { page } = await open();
const bob = settings.people.bob;
const dialog = page.getByRole("dialog");

// As if a while had passed since the sign-in; what is cached of sessions goes with the change of an account.
function grow_old() {
    execFileSync("sqlite3", ["-cmd", ".timeout 5000", settings.store, "UPDATE session SET authenticated_at = authenticated_at - 1000 WHERE authenticated_at > 0"]);
    elsewhere("PUT", "/api/v1/accounts/bob", settings.admin, { email: "bob@alps.example" });
}

async function signInAgain() {
    await dialog.getByRole("heading", { name: "Sign in again" }).waitFor();
    await dialog.getByLabel("Password").fill(bob.password);
    await dialog.getByLabel("Code from your authenticator").fill(await code("bob"));
    await dialog.getByRole("button", { name: "Sign in" }).click();
}

await story("bob signs in, and adds a passkey", async () => {
    await signIn(page, "bob");
    await go(page, "Security");
    await plugIn(page, LAPTOP);
    await page.getByText("Add a passkey or security key").click();
    const form = formOf(page, "Add it");
    await form.getByLabel("Name").fill("laptop");
    await form.getByRole("button", { name: "Add it" }).click();
    await said(page, "Added the passkey laptop.");
});

// ---- renaming -------------------------------------------------------------------------------------

await story("nobody else gives it a name, and bob not none", async () => {
    const { body } = elsewhere("GET", "/api/v1/auth/factors", settings.bob);
    const path = `/api/v1/auth/webauthn/passkeys/${body.passkeys[0].id}`;
    const refusals = [
        [settings.admin, "mine now", "404"],
        [settings.bob, "", "422"],
        [settings.bob, "x".repeat(129), "400"],
        ["pgs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "mine now", "401"],
    ];
    for (const [token, name, expected] of refusals) {
        const { status } = elsewhere("PUT", path, token, { name });
        must(status === expected, `"${name.slice(0, 10)}" got ${status} instead of ${expected}`);
    }
    must(elsewhere("PUT", `${path}9`, settings.bob, { name: "x" }).status === "404", "one that there is not was renamed");
    must(elsewhere("PUT", path, settings.bob, { name: "x".repeat(128) }).status === "200", "a name of 128 is refused");
    elsewhere("PUT", path, settings.bob, { name: "laptop" });
});
await story("the passkey gets another name", async () => {
    await page.getByRole("button", { name: "Rename laptop" }).click();
    await dialog.getByLabel("Name").fill("  ");
    await dialog.getByRole("button", { name: "Rename it" }).click();
    await dialog.getByRole("alert").getByText("give the passkey a name").waitFor();
    await dialog.getByLabel("Name").fill("blue laptop");
    await dialog.getByRole("button", { name: "Rename it" }).click();
    await said(page, "The passkey is called blue laptop now.");
    await page.getByText("blue laptop").first().waitFor();
});

// ---- another authenticator ------------------------------------------------------------------------

await story("another authenticator is scanned; a wrong code changes nothing", async () => {
    await page.getByRole("button", { name: "Replace the authenticator" }).click();
    await page.getByRole("img", { name: "QR code" }).waitFor();
    await page.getByLabel("Code that the app shows").fill("000000");
    await page.getByRole("button", { name: "Confirm" }).click();
    await page.getByRole("alert").getByText("the one-time code is wrong").waitFor();
});
await look(page, "security-authenticator");
await story("the one of before can be kept", async () => {
    await page.getByRole("button", { name: "Keep the one I have" }).click();
    must((await page.getByRole("img", { name: "QR code" }).count()) === 0, "it is still shown");
});
await story("then a right code makes it the one", async () => {
    await page.getByRole("button", { name: "Replace the authenticator" }).click();
    bob.secret = (await page.getByRole("region", { name: "the secret" }).innerText()).replaceAll(" ", "").trim();
    await page.getByLabel("Code that the app shows").fill(await code("bob"));
    await page.getByRole("button", { name: "Confirm" }).click();
    await said(page, "Codes of the new authenticator count from now on");
});

// ---- a sign-in of just now ------------------------------------------------------------------------

await story("a step that wants a sign-in of just now asks for it here, and can be left", async () => {
    grow_old();
    await page.getByText("Change the password").first().click();
    const form = formOf(page, "Change the password");
    await form.getByLabel("Present password").fill("not-this-one-at-all");
    await form.getByLabel("New password").fill("quiet-moon-ladder-9");
    await form.getByRole("button", { name: "Change the password" }).click();
    await dialog.getByText("wants a sign-in of the last minutes").waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await form.getByRole("alert").getByText("sign in again").waitFor();
    must((await form.getByLabel("New password").inputValue()) === "quiet-moon-ladder-9", "what was typed is lost");
});
await story("a wrong password there is told there", async () => {
    await formOf(page, "Change the password").getByRole("button", { name: "Change the password" }).click();
    await dialog.getByLabel("Password").fill("wrong-password-entirely");
    await dialog.getByLabel("Code from your authenticator").fill("000000");
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.getByRole("alert").getByText("is wrong").waitFor();
});
await look(page, "sign-in-again");
await story("once signed in, the step goes on by itself", async () => {
    await signInAgain();
    const form = formOf(page, "Change the password");
    await form.getByRole("alert").getByText("current password is wrong").waitFor();
    must((await form.getByLabel("Present password").getAttribute("aria-invalid")) === "true", "the field is not marked");
    must((await form.getByLabel("New password").inputValue()) === "quiet-moon-ladder-9", "what was typed is lost");
});

// ---- a session that has ended ---------------------------------------------------------------------

await story("a session that was ended while the page was open is begun anew here", async () => {
    const { body } = elsewhere("GET", "/api/v1/sessions", settings.bob);
    for (const session of body.sessions.filter((one) => one.use === "browser")) {
        must(elsewhere("DELETE", `/api/v1/sessions/${session.id}`, settings.bob).status === "200", "it was not ended");
    }
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Keys" }).click();
    await dialog.getByText("Your session has ended. What you typed is still here.").waitFor();
    must((await dialog.count()) === 1, "it is asked for more than once");
    await signInAgain();
    await settled(page);
    await page.getByText("No certificate is valid now.").waitFor();
});
await story("or, where it is not, one is led to where one signs in", async () => {
    const { body } = elsewhere("GET", "/api/v1/sessions", settings.bob);
    for (const session of body.sessions.filter((one) => one.use === "browser")) {
        elsewhere("DELETE", `/api/v1/sessions/${session.id}`, settings.bob);
    }
    await page.getByRole("button", { name: "Revoke all" }).click();
    await dialog.getByRole("button", { name: "Revoke all" }).click();
    await dialog.getByRole("heading", { name: "Sign in again" }).waitFor();
    await page.keyboard.press("Escape");
    await page.waitForURL("**/sign-in?place=keys");
});

// ---- the password ---------------------------------------------------------------------------------

await story("the password is changed, judged while it is typed, and every session ends", async () => {
    await signIn(page, "bob");
    await go(page, "Security");
    await page.getByText("Change the password").first().click();
    const form = formOf(page, "Change the password");
    await form.getByLabel("Present password").fill(bob.password);
    await form.getByLabel("New password").fill("bobbobbobbob");
    await form.getByText("little more than the account's name").waitFor();
    await form.getByLabel("New password").fill("quiet-moon-ladder-9");
    await form.getByText("Good: hard to guess.").waitFor();
    await form.getByRole("button", { name: "Change the password" }).click();
    await page.waitForURL("**/sign-in?place=security");
    bob.password = "quiet-moon-ladder-9";
    await signIn(page, "bob");
});

tellComplaints();
await end();
