// dashboard.mjs SETTINGS.json: drives Chromium through the dashboard's stories. Prints "ok - …" and "not ok - …".

import { readFileSync, writeFileSync } from "node:fs";
import { end, LAPTOP, look, must, open, plugIn, settings, story, tellComplaints } from "./browser.mjs";
import * as steps from "./dashboard_steps.mjs";

// ---- finding one's way --------------------------------------------------------------------------

let { context, page } = await open();
await context.grantPermissions(["clipboard-read", "clipboard-write"]);

const signIn = (name) => steps.signIn(page, name);
const settled = () => steps.settled(page);
const go = (title) => steps.go(page, title);
const said = (text) => steps.said(page, text);

// ---- the stories --------------------------------------------------------------------------------

await page.goto(`${settings.url}/`);
await page.waitForURL("**/sign-in?place=**");
await look(page, "sign-in");

await story("alice signs in", () => signIn("alice"));
await story("home names her, what she reaches, and what to do next", async () => {
    await page.getByRole("heading", { level: 1, name: "Alice Example" }).waitFor();
    await page.getByText("Sign your first key").waitFor();
    await page.getByText("ssh daint").waitFor();
});
await look(page, "home-newcomer");

await story("a key is pasted, refused with its reason at the field, then signed and downloaded", async () => {
    await go("Keys");
    const key = page.getByLabel("Public key").first();
    await key.fill("ssh-ed25519 nonsense");
    await page.getByRole("button", { name: "Sign", exact: true }).click();
    await page.getByRole("alert").first().waitFor();
    must((await key.getAttribute("aria-invalid")) === "true", "the field is not marked");
    await page.getByLabel("or choose the file").first().setInputFiles(`${settings.folder}/laptop.pub`);
    await page.getByRole("button", { name: "Sign", exact: true }).click();
    await said("Signed until");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download laptop-cert.pub" }).click();
    await (await download).saveAs(`${settings.folder}/laptop-cert.pub`);
});
await story("a key that is dropped is taken", async () => {
    const data = await page.evaluateHandle((text) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([text], "robot.pub"));
        return transfer;
    }, readFileSync(`${settings.folder}/robot.pub`, "utf8"));
    await page.getByLabel("Public key").first().dispatchEvent("drop", { dataTransfer: data });
    await said("Took robot.pub");
    await page.getByRole("button", { name: "Sign", exact: true }).click();
    await page.getByRole("button", { name: "Download robot-cert.pub" }).waitFor();
});
await story("a key is registered from her present address, which is filled in", async () => {
    await page.getByText("Register a key").click();
    const form = page.locator("form", { has: page.getByRole("button", { name: "Register" }) });
    await form.getByLabel("Public key").fill(readFileSync(`${settings.folder}/robot.pub`, "utf8"));
    await form.getByLabel("Good for").fill("30d");
    await form.getByLabel("Good from").selectOption("typed");
    must((await form.getByLabel("Networks").inputValue()) === "127.0.0.1", "the present address is not filled in");
    await form.getByRole("button", { name: "Register" }).click();
    await said("Registered the key robot");
    await page.getByText("from 127.0.0.1/32; until").waitFor();
});
await look(page, "keys");
await story("revoking asks, names what will end, and can be left", async () => {
    await page.getByRole("list", { name: "Certificates" }).getByRole("button", { name: /^Revoke / }).first().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("Sessions that they opened end everywhere.").waitFor();
    await look(page, "keys-revoke");
    await page.keyboard.press("Escape");
    must((await page.getByRole("dialog").count()) === 0, "it is still there");
    must((await page.getByRole("list", { name: "Certificates" }).getByRole("listitem").count()) === 2, "something was revoked");
});
await story("several are revoked at once, and shown as such", async () => {
    await page.getByRole("checkbox").first().check();
    await page.getByRole("button", { name: "Revoke 1 chosen" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await said("Revoked 1 certificate.");
    await page.getByLabel("Show", { exact: true }).selectOption("all");
    await page.getByText("revoked", { exact: true }).waitFor();
});
await story("ten thousand certificates come in pages", async () => {
    const rows = page.getByRole("list", { name: "Certificates" }).getByRole("listitem");
    await settled();
    for (const count of [100, 150, 200]) {
        await page.getByRole("button", { name: "Show more" }).click();
        await rows.nth(count - 1).waitFor();
        must((await rows.count()) === count, `${await rows.count()} rows instead of ${count}`);
    }
});
await story("home shows the time that is left", async () => {
    await go("Home");
    await page.getByRole("progressbar").first().waitFor();
    await page.getByText(/left$/).first().waitFor();
});
await look(page, "home");

await story("the way to connect is ready to copy, and is what ssh understands", async () => {
    await go("Connect");
    await page.getByText("Host daint").first().waitFor();
    await page.getByRole("button", { name: "Copy the configuration of ssh" }).click();
    await said("Copied: the configuration of ssh.");
    writeFileSync(`${settings.folder}/ssh_config`, await page.evaluate(() => navigator.clipboard.readText()));
    await page.getByRole("button", { name: "Copy the known hosts" }).click();
    writeFileSync(`${settings.folder}/known_hosts`, await page.evaluate(() => navigator.clipboard.readText()));
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download posterngate-alps.reg" }).click();
    await (await download).saveAs(`${settings.folder}/putty.reg`);
});
await story("a tunnel to a job's service is built", async () => {
    await page.getByLabel("Job", { exact: true }).selectOption({ label: "4712 on daint" });
    await page.getByLabel("Port of the service").fill("6006");
    await page.getByText("postern tunnel --job 4712@daint 6006").waitFor();
    await page.getByText("ssh -N -J ela,daint -L 8888:localhost:6006 alice@nid001234").waitFor();
    await page.getByLabel("Port of the service").fill("99999");
    await page.getByText("A port is a number").waitFor();
    await page.getByLabel("Port of the service").fill("6006");
});
await look(page, "connect");
await story("jobs name user, address, port and fingerprint", async () => {
    await go("Jobs");
    await page.getByText("198.51.100.7 port 32100").waitFor();
    await page.getByText("ssh -p 32100 runner@198.51.100.7").waitFor();
    await page.getByText(settings.jobFingerprint).waitFor();
});
await look(page, "jobs");
await story("security shows what can act for her, and what was tried in her name", async () => {
    await go("Security");
    await page.getByText("this one", { exact: true }).waitFor();
    await page.getByText("laptop-daemon valid").waitFor();
    await page.getByText("Sign-in to the dashboard").first().waitFor();
    await page.getByRole("combobox", { name: "Show" }).selectOption("certificate.");
    await settled();
    await page.getByText("A key signed").first().waitFor();
    must((await page.getByText("Sign-in to the dashboard").count()) === 0, "the filter does not hold");
});
await look(page, "security");
await story("a passkey is added, and recovery codes are made", async () => {
    await plugIn(page, LAPTOP);
    await page.getByText("Add a passkey or security key").click();
    const form = page.locator("form", { has: page.getByRole("button", { name: "Add it" }) });
    await form.getByLabel("Name").fill("laptop");
    await form.getByRole("button", { name: "Add it" }).click();
    await said("Added the passkey laptop.");
    await page.getByRole("button", { name: "Make new ones" }).click();
    await page.getByText(/^(\w{5}-){3}\w{5}\n/).waitFor();
    await page.getByText("10 left").waitFor();
});
await look(page, "security-factors");
await story("the passkey is removed", async () => {
    await page.getByRole("button", { name: "Remove laptop" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
    await said("Removed the passkey laptop.");
});
await story("where she may come in from is chosen, not without a question when it locks her out", async () => {
    await page.locator("details", { hasText: "Good from" }).getByText("Choose", { exact: true }).first().click();
    const form = page.locator("form", { has: page.getByRole("button", { name: "Choose" }) });
    await form.getByLabel("Good from").selectOption("typed");
    await form.getByLabel("Networks").fill("192.0.2.0/24");
    await form.getByRole("button", { name: "Choose" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Keep" }).click();
    await form.getByRole("alert").waitFor();
    await form.getByLabel("Good from").selectOption("mine");
    await form.getByRole("button", { name: "Choose" }).click();
    await said("From now on: from 127.0.0.1/32.");
    await form.getByLabel("Good from").selectOption("everywhere");
    await form.getByRole("button", { name: "Choose" }).click();
    await said("From now on: from everywhere.");
});
await story("a grant is revoked, and a session elsewhere is ended", async () => {
    await page.getByRole("button", { name: "Revoke laptop-daemon" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await said("Revoked the grant laptop-daemon");
    await page.getByRole("button", { name: /^End: The command line/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "End it" }).click();
    await said("The session has ended.");
});

await story("a manager adds a member, who is refused with a reason when there is none of that name", async () => {
    await go("Project");
    await page.getByText("Add a member").click();
    const form = page.locator("form", { has: page.getByRole("button", { name: "Add", exact: true }) });
    await form.getByLabel("User name").fill("nobody");
    await form.getByRole("button", { name: "Add", exact: true }).click();
    await form.getByRole("alert").waitFor();
    await form.getByLabel("User name").fill("bob");
    await form.getByRole("button", { name: "Add", exact: true }).click();
    await said("bob is a member of s1234.");
    await page.getByRole("button", { name: "Remove bob" }).waitFor();
    await settled();
    must((await page.getByRole("list", { name: "Certificates of s1234" }).getByRole("listitem").count()) === 1, "not her one certificate");
});
await story("and makes a service account with an API key, which is shown once", async () => {
    await page.getByText("Make a service account").click();
    const form = page.locator("form", { has: page.getByRole("button", { name: "Make it" }) });
    await form.getByLabel("Name").fill("portal");
    await form.getByRole("button", { name: "Make it" }).click();
    await said("Made the service account portal.");
    await page.getByText("Make an API key of portal").click();
    const keyForm = page.locator("form", { has: page.getByRole("button", { name: "Make an API key" }) });
    await keyForm.getByLabel("Name").fill("nightly");
    await keyForm.getByLabel("Networks").fill("192.0.2.0/24 127.0.0.1");
    await keyForm.getByRole("button", { name: "Make an API key" }).click();
    await page.getByText(/^pgk_[\w-]{43}$/).waitFor();
    await page.getByRole("button", { name: "Revoke nightly" }).waitFor();
});
await look(page, "project");
await story("the API key is revoked", async () => {
    await page.getByRole("button", { name: "Revoke nightly" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await said("Revoked the API key nightly.");
});
await story("an administrator makes an account, whose invitation is shown once", async () => {
    await go("Admin");
    await page.getByText("Make an account").click();
    const form = page.locator("form", { has: page.getByRole("button", { name: "Make the account" }) });
    await form.getByLabel("User name").fill("carol");
    await form.getByLabel("Name", { exact: true }).fill("Carol Example");
    await form.getByRole("button", { name: "Make the account" }).click();
    await page.getByRole("region", { name: "the link for carol" }).getByText(/\/invitation#pgi_[\w-]{43}$/).waitFor();
    await page.getByText("Carol Example").waitFor();
});
await look(page, "admin-accounts");
await story("disabling names what will end", async () => {
    await page.getByRole("button", { name: "Disable carol" }).click();
    await page.getByRole("dialog").getByText(/^carol: every session/).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Disable" }).click();
    await said("carol is disabled");
    await page.getByRole("button", { name: "Enable carol" }).waitFor();
});
await story("clusters and hosts, and which of them are not heard of", async () => {
    await page.getByRole("link", { name: "Clusters and hosts" }).click();
    await page.getByRole("heading", { level: 2, name: "daint" }).waitFor();
    await page.getByRole("listitem").filter({ hasText: "nid001234" }).getByText("never enrolled").waitFor();
    await page.getByRole("button", { name: "Enrol nid001234" }).click();
    await page.getByText(/^postern-host enrol --url https:\S+ --token pge_/).waitFor();
});
await look(page, "admin-hosts");
await story("a host is removed", async () => {
    await page.getByRole("button", { name: "Remove nid001234" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
    await said("Removed nid001234");
});
await story("a session at a gate is seen, and cut after a question that names it", async () => {
    await page.getByRole("link", { name: "Live sessions" }).click();
    await page.getByText("from 198.51.100.9 through ela, to daint:22").waitFor();
    await page.getByText("34.6 MB out").waitFor();
});
await look(page, "admin-sessions");
await story("it is cut at its gate", async () => {
    await page.getByRole("button", { name: "Cut the session of bob" }).click();
    await page.getByRole("dialog").getByText(/^bob, from 198.51.100.9 through ela/).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Cut" }).click();
    await said("The gate ela was told");
});
await story("activity is counted, as charts and as a table", async () => {
    await page.getByRole("link", { name: "Activity" }).click();
    await page.getByRole("img", { name: /^Sign-ins: [1-9]/ }).waitFor();
    await page.getByRole("img", { name: /^Signings: [1-9]/ }).waitFor();
    await page.getByText("As a table").click();
    await page.getByRole("columnheader", { name: "Refusals at gates" }).waitFor();
    await page.getByText("As a table").click();
});
await look(page, "admin-activity");
await story("the audit log, filtered and exported", async () => {
    await page.getByRole("link", { name: "Audit log" }).click();
    await page.getByRole("cell", { name: "host.remove" }).waitFor();
    await page.getByLabel("Action").fill("certificate.");
    await page.getByRole("button", { name: "Filter" }).click();
    await said("Filtered.");
    must((await page.getByRole("cell", { name: "host.remove" }).count()) === 0, "the filter does not hold");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export" }).click();
    await (await download).saveAs(`${settings.folder}/audit.csv`);
});
await look(page, "admin-audit");

await story("everything works by keyboard alone", async () => {
    await page.goto(`${settings.url}/#/`);
    await page.reload();
    await settled();
    await page.keyboard.press("Tab");
    must((await page.evaluate(() => document.activeElement.id)) === "skip", "the first stop is not the way to the page");
    await page.keyboard.press("Enter");
    must((await page.evaluate(() => document.activeElement.id)) === "main", "the way to the page leads elsewhere");
    await page.reload();
    await settled();
    for (let i = 0; i < 10 && (await page.evaluate(() => document.activeElement.textContent)) !== "Keys"; i++) {
        await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Keys" }).waitFor();
    await settled();
    must((await page.evaluate(() => document.activeElement.tagName)) === "H1", "the focus did not go to the page's heading");
    const seen = new Set();
    for (let i = 0; i < 60; i++) {
        await page.keyboard.press("Tab");
        const stop = await page.evaluate(() => {
            const at = document.activeElement;
            const box = at.getBoundingClientRect();
            const shown = at === document.body || (box.width > 0 && box.height > 0 && getComputedStyle(at).outlineStyle !== "none");
            return { name: `${at.tagName} ${at.getAttribute("aria-label") ?? at.textContent.slice(0, 40)}`, shown };
        });
        must(stop.shown, `the focus cannot be seen at ${stop.name}`);
        seen.add(stop.name);
    }
    must([...seen].some((name) => name.startsWith("BUTTON Revoke")), "revoking is not reached");
    await page.getByRole("button", { name: "Revoke all" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    must((await page.evaluate(() => document.activeElement.textContent)) === "Keep", "the dialog does not begin at what ends nothing");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await said("Revoked 1 certificate.");
});

await story("bob is shown what is his: no administration, no project", async () => {
    const alices = page;
    ({ context, page } = await open());
    await signIn("bob");
    const links = await page.getByRole("navigation", { name: "Pages" }).getByRole("link").allTextContents();
    must(links.join() === "Home,Keys,Connect,Jobs,Security", `his pages are ${links}`);
    await page.goto(`${settings.url}/#/admin`);
    await page.getByRole("heading", { level: 1, name: "Not found" }).waitFor();
    await context.close();
    page = alices;
});

await story("signing out ends the session", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL("**/sign-in");
    await page.goto(`${settings.url}/`);
    await page.waitForURL("**/sign-in?place=**");
});

tellComplaints();
await end();
