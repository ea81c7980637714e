// Stories beside the usual ones.

import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { code, end, fillIn, look, must, open, settings, story, tell, tellComplaints } from "./browser.mjs";
import { elsewhere, formOf, go, said, settled, signIn } from "./dashboard_steps.mjs";

const { page } = await open();
const dialog = page.getByRole("dialog");
const publicKey = (name) => readFileSync(`${settings.folder}/${name}.pub`, "utf8").trim();

// ---- a pair that is made here ---------------------------------------------------------------------

await story("a pair can be had made here, which is called what it is", async () => {
    await signIn(page, "bob");
    await go(page, "Keys");
    await page.getByText("Have a pair made here (deprecated)").click();
    await page.getByText("The private key then travels through the network").waitFor();
    const form = formOf(page, "Make a pair");
    await form.getByLabel("Passphrase").fill("a passphrase of mine");
    await form.getByRole("button", { name: "Make a pair" }).click();
    await said(page, "A pair was made and signed.");
    for (const [button, name] of [[/^Download (?!.*-cert)/, "made"], [/^Download .*-cert\.pub$/, "made-cert.pub"]]) {
        const download = page.waitForEvent("download");
        await page.locator("details[open]").getByRole("button", { name: button }).click();
        await (await download).saveAs(`${settings.folder}/${name}`);
    }
    chmodSync(`${settings.folder}/made`, 0o600);
});
await look(page, "keys-made");

// ---- refusals in words ----------------------------------------------------------------------------

await story("beyond the day's quota (429) the page says so, and keeps what was typed", async () => {
    await page.getByLabel("Public key").first().fill(publicKey("laptop"));
    await page.getByRole("button", { name: "Sign", exact: true }).click();
    await said(page, "Signed until");
    await page.getByLabel("Public key").first().fill(publicKey("robot"));
    await page.getByRole("button", { name: "Sign", exact: true }).click();
    await page.getByRole("alert").getByText(/certificates .*(day|24)/).waitFor();
    must((await page.getByLabel("Public key").first().inputValue()) === publicKey("robot"), "the key is lost");
});
await story("what a manager may not (403) is told in words", async () => {
    await go(page, "Project");
    await page.getByText("Add a member").click();
    const form = formOf(page, "Add");
    await form.getByLabel("User name").fill("alice");
    await form.getByRole("button", { name: "Add" }).click();
    await form.getByRole("alert").getByText("alice is an administrator, whose projects administrators alone change").waitFor();
});
await look(page, "project-refused");
await story("rights that were taken away while the page was open are told of", async () => {
    must(elsewhere("PUT", "/api/v1/projects/s1234/members/bob", settings.admin, { role: "member" }).status === "200", "bob is a manager still");
    await formOf(page, "Add").getByLabel("User name").fill("carol");
    await formOf(page, "Add").getByRole("button", { name: "Add" }).click();
    await page.getByRole("alert").getByText("only administrators and the managers of this project").first().waitFor();
});

// ---- an upgrade -----------------------------------------------------------------------------------

// What the page has is of an older version: its modules are not there any more. The authority itself says so.
const ofBefore = (route) => route.continue({ url: route.request().url().replace(/\/web\/\w+\//, "/web/0000000000000000/") });

await story("after an upgrade a page that is not loaded yet is loaded anew", async () => {
    await page.goto(`${settings.url}/#/`);
    await page.reload();
    await settled(page);
    await page.evaluate(() => {
        globalThis.ofBefore = true;
    });
    await page.route("**/web/*/jobs.js", ofBefore, { times: 1 });
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Jobs" }).click();
    await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
    await settled(page);
    must(await page.evaluate(() => globalThis.ofBefore === undefined), "the page was not loaded anew");
});
await story("where that does not help, it says so instead of trying for ever", async () => {
    await page.goto(`${settings.url}/#/`);
    await page.reload();
    await settled(page);
    let loads = 0;
    page.on("load", () => loads++);
    await page.route("**/web/*/connect.js", ofBefore);
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Connect" }).click();
    await page.getByRole("alert").getByText("This page could not be loaded.").waitFor();
    must(loads === 1, `it was loaded ${loads} times`);
    await page.unroute("**/web/*/connect.js");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { level: 1, name: "Connect" }).waitFor();
    await settled(page);
});
await story("an authority that is away is told of, and what was typed stays", async () => {
    await go(page, "Keys");
    await page.getByLabel("Public key").first().fill(publicKey("robot"));
    await page.context().setOffline(true);
    await page.getByRole("button", { name: "Sign", exact: true }).click();
    await page.getByRole("alert").getByText("The authority cannot be reached.").waitFor();
    await page.context().setOffline(false);
    must((await page.getByLabel("Public key").first().inputValue()) === publicKey("robot"), "the key is lost");
});

// ---- by keyboard alone ----------------------------------------------------------------------------

const at = (keyed) =>
    keyed.evaluate(() => {
        const here = document.activeElement;
        const name = here.getAttribute("aria-label") ?? here.labels?.[0]?.textContent ?? here.textContent;
        const box = here.getBoundingClientRect();
        return { name: name.trim(), tag: here.tagName, shown: box.bottom > 0 && box.top < innerHeight && getComputedStyle(here).outlineStyle !== "none" };
    });

// Goes on by Tab until it is there, with a focus that can be seen all the way.
async function tabTo(keyed, name) {
    for (let steps = 0; steps < 80; steps++) {
        await keyed.keyboard.press("Tab");
        const here = await at(keyed);
        must(here.shown || here.tag === "BODY", `the focus cannot be seen at ${here.tag} ${here.name}`);
        if (typeof name === "string" ? here.name === name : name.test(here.name)) {
            return;
        }
    }
    throw new Error(`${name} is not reached`);
}

await story("alice signs in, signs a key, copies it, revokes it and signs out, by keyboard alone", async () => {
    const { context, page: keyed } = await open();
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await keyed.goto(`${settings.url}/#/keys`);
    await keyed.waitForURL("**/sign-in?place=keys");
    for (const [label, text] of [["User name", "alice"], ["Password", settings.people.alice.password], ["Code from your authenticator", await code("alice")]]) {
        await tabTo(keyed, label);
        await keyed.keyboard.type(text);
    }
    await keyed.keyboard.press("Enter");
    await keyed.getByRole("heading", { level: 1, name: "Keys" }).waitFor();
    await settled(keyed);
    await tabTo(keyed, "Public key");
    await keyed.keyboard.insertText(publicKey("robot"));
    await tabTo(keyed, "Valid for");
    await keyed.keyboard.press("ArrowDown");
    await tabTo(keyed, "Sign");
    await keyed.keyboard.press("Enter");
    await said(keyed, "Signed until");
    await tabTo(keyed, "Copy the certificate");
    await keyed.keyboard.press("Enter");
    await said(keyed, "Copied: the certificate.");
    writeFileSync(`${settings.folder}/keyboard-cert.pub`, await keyed.evaluate(() => navigator.clipboard.readText()));
    await settled(keyed);
    await tabTo(keyed, /^Choose \d+$/);
    await keyed.keyboard.press("Space");
    for (let steps = 0; (await at(keyed)).name !== "Revoke 1 chosen"; steps++) {
        must(steps < 10, "the way back to what revokes it is not found");
        await keyed.keyboard.press("Shift+Tab");
    }
    await keyed.keyboard.press("Enter");
    await keyed.getByRole("dialog").waitFor();
    must((await at(keyed)).name === "Keep", "the dialog does not begin at what ends nothing");
    await tabTo(keyed, "Revoke");
    await keyed.keyboard.press("Enter");
    await said(keyed, "Revoked 1 certificate.");
    for (let steps = 0; (await at(keyed)).name !== "Sign out"; steps++) {
        must(steps < 40, "Sign out is not found");
        await keyed.keyboard.press("Shift+Tab");
    }
    await keyed.keyboard.press("Enter");
    await keyed.waitForURL("**/sign-in");
    await context.close();
});

// ---- as a screen reader reads it ------------------------------------------------------------------

// What is pressed or filled in has a name, what is a list of things as well; one heading of level 1, and landmarks around everything.
function faults(tree) {
    const lines = tree.split("\n").map((line) => line.trim());
    const nameless = lines.filter((line) => /^- (button|link|textbox|combobox|checkbox|spinbutton|dialog|navigation|region|progressbar|img|table)(:| \[|$)/.test(line));
    const headings = lines.filter((line) => /^- heading .*\[level=1\]/.test(line));
    const landmarks = ["banner", "navigation", "main"].filter((role) => !lines.some((line) => line.startsWith(`- ${role}`)));
    return [...nameless, ...(headings.length === 1 ? [] : [`${headings.length} headings of level 1`]), ...landmarks.map((role) => `no ${role}`)];
}

const { page: read } = await open();
await story("alice signs in once more", async () => {
    await read.goto(`${settings.url}/`);
    await fillIn(read, "alice");
    await read.waitForURL(`${settings.url}/#/**`);
});
for (const path of ["", "keys", "connect", "jobs", "security", "admin", "admin/projects", "admin/hosts", "admin/sessions", "admin/activity", "admin/audit"]) {
    await story(`a screen reader finds its way: ${path || "home"}`, async () => {
        await read.goto(`${settings.url}/#/${path}`);
        await settled(read);
        for (const summary of await read.locator("summary").all()) {
            await summary.click(); // what is folded is read as well
        }
        await settled(read);
        const tree = await read.locator("body").ariaSnapshot();
        writeFileSync(`${settings.pictures}/${path.replace("/", "-") || "home"}.aria.txt`, tree);
        const found = faults(tree);
        must(found.length === 0, `${found.join("\n")}\n${tree}`);
    });
}
tell(await read.evaluate(() => document.documentElement.lang === "en"), "its language is said");

tellComplaints(/^Failed to load resource: .* status of 404 /, /ERR_INTERNET_DISCONNECTED/); // the upgrade, and the authority that was away
await end();
