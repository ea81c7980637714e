// passkeys.mjs SETTINGS.json: drives Chromium with virtual authenticators through the sign-in page. Prints "ok - …" and "not ok - …".

import { end, fillIn, LAPTOP, must, open, plugIn, SECURITY_KEY, settings, story, tellComplaints } from "./browser.mjs";

let context, page, devtools, authenticator;

// A browser of its own, with an authenticator of this kind plugged in.
async function newBrowser(options) {
    await context?.close();
    ({ context, page } = await open());
    ({ devtools, authenticatorId: authenticator } = await plugIn(page, options));
}

const { people } = settings;
const credentials = async () => (await devtools.send("WebAuthn.getCredentials", { authenticatorId: authenticator })).credentials;
const useOf = (name) => page.getByRole("button", { name });

async function register(name, label) {
    await page.goto(`${settings.url}/passkeys`);
    await fillIn(page, name);
    await page.getByLabel("Name of the passkey").fill(label);
    await useOf("Add passkey or security key").click();
    await page.getByText(`“${label}” is registered`).waitFor();
}

async function signedIn(name) {
    await page.waitForURL(`${settings.url}/#/**`);
    const answer = await page.evaluate(async () => {
        const { csrfToken } = await (await fetch("/api/v1/auth/csrf-token")).json();
        return (await fetch("/api/v1/auth/whoami", { headers: { "X-CSRF-Token": csrfToken } })).json();
    });
    must(answer.username === name, JSON.stringify(answer));
}

async function signOut() {
    await context.clearCookies();
}

async function byPasskey() {
    await page.goto(`${settings.url}/sign-in?place=keys`);
    await useOf("Sign in with a passkey").click();
}

const refusal = (text) => page.getByRole("alert").filter({ hasText: text }).waitFor();

// ---- a passkey ----------------------------------------------------------------------------------

await newBrowser(LAPTOP);
let kept;
await story("bob adds a passkey of his laptop", () => register("bob", "laptop"));
await story("another browser page shows that it is there already", async () => {
    await page.goto(`${settings.url}/passkeys`);
    await page.getByLabel("Name of the passkey").fill("again");
    await useOf("Add passkey or security key").click();
    await refusal("registered for your account already");
});
await story("and signs in with it alone", async () => {
    await signOut();
    await byPasskey();
    await signedIn("bob");
});
await story("an answer that is sent a second time is refused, and so is another browser's", async () => {
    await signOut();
    await page.goto(`${settings.url}/sign-in`);
    await page.evaluate(() => {
        HTMLFormElement.prototype.submit = function () {
            window.kept = [...this.elements].filter((e) => e.name.startsWith("passkey_")).map((e) => [e.name, e.value]);
        };
    });
    await useOf("Sign in with a passkey").click();
    kept = await (await page.waitForFunction(() => window.kept)).jsonValue();
    const form = { ...Object.fromEntries(kept), form_token: await page.locator("[name=form_token]").inputValue(), action: "sign-in" };
    const sent = async () => (await context.request.post(`${settings.url}/sign-in`, { form, maxRedirects: 0 })).status();
    const answers = [await sent(), await sent()]; // with this browser's cookies
    must(answers.join() === "303,401", `it was answered with ${answers}`);
    await signOut();
    await page.goto(`${settings.url}/sign-in`);
    await page.evaluate((fields) => {
        const form = document.querySelector("form");
        for (const [name, value] of [...fields, ["action", "sign-in"]]) {
            form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
        }
        form.submit();
    }, kept);
    await refusal("does not let you in");
});
await story("who does not verify themselves is refused by the browser or here", async () => {
    await devtools.send("WebAuthn.setUserVerified", { authenticatorId: authenticator, isUserVerified: false });
    await byPasskey();
    await page.getByRole("alert").filter({ hasText: /cancelled|does not let you in/ }).waitFor();
    await devtools.send("WebAuthn.setUserVerified", { authenticatorId: authenticator, isUserVerified: true });
});
await story("a counter that goes back locks the passkey", async () => {
    await signOut();
    const [credential] = await credentials();
    must(credential.signCount > 1, `the counter is ${credential.signCount}`);
    await devtools.send("WebAuthn.removeCredential", { authenticatorId: authenticator, credentialId: credential.credentialId });
    await devtools.send("WebAuthn.addCredential", { authenticatorId: authenticator, credential: { ...credential, signCount: 0 } });
    await byPasskey();
    await refusal("does not let you in");
    await devtools.send("WebAuthn.removeCredential", { authenticatorId: authenticator, credentialId: credential.credentialId });
    await devtools.send("WebAuthn.addCredential", { authenticatorId: authenticator, credential: { ...credential, signCount: 1000 } });
    await byPasskey();
    await refusal("does not let you in");
});

// ---- security keys ------------------------------------------------------------------------------

await newBrowser(SECURITY_KEY);
await story("bob adds a security key", () => register("bob", "blue key"));
await story("and signs in with his password and its touch", async () => {
    await signOut();
    await page.goto(`${settings.url}/sign-in`);
    await fillIn(page, "bob", { totp: "" });
    await useOf("Use security key or passkey").click();
    await signedIn("bob");
});
await story("a wrong password never gets as far", async () => {
    await signOut();
    await page.goto(`${settings.url}/sign-in`);
    people.bob.password += "x";
    await fillIn(page, "bob", { totp: "" });
    await refusal("is wrong");
    people.bob.password = people.bob.password.slice(0, -1);
});
const [bobs] = await credentials();
await story("alice adds one of hers", async () => {
    await newBrowser(SECURITY_KEY);
    await register("alice", "her key");
});
await story("bob's key is no second factor for alice", async () => {
    await signOut();
    await devtools.send("WebAuthn.addCredential", { authenticatorId: authenticator, credential: bobs });
    await page.goto(`${settings.url}/sign-in`);
    await fillIn(page, "alice", { totp: "" });
    const holder = page.locator("#passkey");
    await holder.evaluate((element, id) => {
        const options = JSON.parse(element.dataset.options);
        options.allowCredentials = [{ type: "public-key", id }];
        element.dataset.options = JSON.stringify(options);
    }, bobs.credentialId.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", ""));
    await useOf("Use security key or passkey").click();
    await refusal("does not let you in");
});
tellComplaints();
await end();
