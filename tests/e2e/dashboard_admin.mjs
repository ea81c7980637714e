// A centre set up in the browser: accounts, clusters, hosts, projects.

import { writeFileSync } from "node:fs";
import { end, look, must, open, settings, story, tellComplaints } from "./browser.mjs";
import { formOf, go, said, settled, signIn } from "./dashboard_steps.mjs";

const { page } = await open();
const dialog = page.getByRole("dialog");
const open_ = (summary) => page.locator("summary", { hasText: summary }).first().click();
const part = (title) => go(page, title, "Administration");

await story("alice signs in", () => signIn(page, "alice"));

// ---- clusters and hosts ---------------------------------------------------------------------------

await story("a cluster is refused with its reason, then added", async () => {
    await go(page, "Admin");
    await part("Clusters and hosts");
    await open_("Add a cluster");
    const form = formOf(page, "Add the cluster");
    await form.getByLabel("Name", { exact: true }).fill("no such name");
    await form.getByRole("button", { name: "Add the cluster" }).click();
    await form.getByRole("alert").waitFor();
    must((await form.getByLabel("Name", { exact: true }).getAttribute("aria-invalid")) === "true", "the field is not marked");
    await form.getByLabel("Name", { exact: true }).fill("daint");
    await form.getByLabel("Address").fill("daint.alps.example");
    await form.getByRole("button", { name: "Add the cluster" }).click();
    await said(page, "Added the cluster daint.");
    await page.getByRole("heading", { level: 2, name: "daint" }).waitFor();
});
await story("one that leads jump hosts to themselves is warned of", async () => {
    await open_("Add a cluster");
    const form = formOf(page, "Add the cluster");
    await form.getByLabel("Name", { exact: true }).fill("santis");
    await form.getByLabel("Address").fill("localhost");
    await form.getByRole("button", { name: "Add the cluster" }).click();
    await page.getByText("every jump host now leads there").waitFor();
});
await story("its settings are changed, with those of now filled in", async () => {
    await page.getByRole("button", { name: "Change daint" }).click();
    must((await dialog.getByLabel("Address").inputValue()) === "daint.alps.example", "the address is not filled in");
    await dialog.getByLabel("Port").fill("99999");
    await dialog.getByRole("button", { name: "Change it" }).click();
    await dialog.getByRole("alert").waitFor();
    await dialog.getByLabel("Port").fill("2222");
    await dialog.getByLabel("Its nodes").selectOption("open");
    await dialog.getByLabel("Its hosts take").selectOption("certificates");
    await look(page, "admin-cluster-change");
    await dialog.getByRole("button", { name: "Change it" }).click();
    await said(page, "Changed the cluster daint.");
    await page.getByText("daint.alps.example port 2222 · nodes open to everyone who reaches it · certificates alone").waitFor();
});
await story("hosts are added, with the command to enrol them", async () => {
    await open_("Add a host");
    const form = formOf(page, "Add the host");
    await form.getByLabel("Name", { exact: true }).fill("daint-ln001");
    await form.getByLabel("it may say which jobs run").check();
    await form.getByRole("button", { name: "Add the host" }).click();
    await said(page, "Added the host daint-ln001.");
    await open_("Add a host");
    await form.getByLabel("Role").selectOption("jump");
    must(!(await form.getByLabel("Cluster", { exact: true }).isVisible()), "a jump host is asked for its cluster");
    await form.getByLabel("Name", { exact: true }).fill("ela");
    await form.getByLabel("Address").fill("ela.alps.example");
    await form.getByRole("button", { name: "Add the host" }).click();
    await said(page, "Added the host ela.");
    const command = page.getByRole("region", { name: "the command to enrol ela" });
    writeFileSync(`${settings.folder}/enrol`, `${await command.innerText()}\n`);
});
await look(page, "admin-hosts-new");
await story("a host that nobody needs is removed, after a question that names what ends", async () => {
    await open_("Add a host");
    const form = formOf(page, "Add the host");
    await form.getByLabel("Role").selectOption("compute");
    await form.getByLabel("Cluster", { exact: true }).selectOption("daint");
    await form.getByLabel("Name", { exact: true }).fill("nid000001");
    await form.getByRole("button", { name: "Add the host" }).click();
    await said(page, "Added the host nid000001.");
    await page.getByRole("button", { name: "Remove nid000001" }).click();
    await dialog.getByText("Its token ends, and its certificates are revoked.").waitFor();
    await dialog.getByRole("button", { name: "Remove" }).click();
    await said(page, "Removed nid000001");
});

// ---- accounts -------------------------------------------------------------------------------------

await story("bob gets another name, a quota and the keys to the house", async () => {
    await part("Accounts");
    await page.getByRole("button", { name: "Change bob" }).click();
    await dialog.getByLabel("Name", { exact: true }).fill("Bob of the Alps");
    await dialog.getByLabel("Email").fill("nonsense");
    await dialog.getByRole("button", { name: "Change it" }).click();
    await dialog.getByRole("alert").getByText("not an e-mail address").waitFor();
    await dialog.getByLabel("Email").fill("bob@alps.example");
    await dialog.getByLabel("Certificates a day").fill("7");
    await dialog.getByLabel("administrator of this site").check();
    await look(page, "admin-account-change");
    await dialog.getByRole("button", { name: "Change it" }).click();
    await said(page, "Changed bob.");
    await page.getByText("Bob of the Alps, bob@alps.example").waitFor();
    await page.getByText("at most 7 certificates a day").waitFor();
});
await story("what is cancelled changes nothing", async () => {
    await page.getByRole("button", { name: "Change bob" }).click();
    await dialog.getByLabel("Name", { exact: true }).fill("Somebody else");
    await dialog.getByRole("button", { name: "Cancel" }).click();
    must((await dialog.count()) === 0, "the dialog is still there");
    await page.getByText("Bob of the Alps").waitFor();
    must((await page.evaluate(() => document.activeElement.getAttribute("aria-label"))) === "Change bob", "the focus is lost");
});
await story("resetting how bob signs in names what ends, and gives a new link", async () => {
    await page.getByRole("button", { name: "Reset sign-in bob" }).click();
    await dialog.getByText("passkeys and recovery codes of bob").waitFor();
    await look(page, "admin-account-reset");
    await dialog.getByRole("button", { name: "Reset" }).click();
    await said(page, "bob has no way to sign in until the new invitation is accepted.");
    await page.getByRole("region", { name: "the link for bob" }).getByText(/\/invitation#pgi_[\w-]{43}$/).waitFor();
    await page.getByRole("button", { name: "Invite bob" }).waitFor();
});
await story("the last administrator who can sign in stays one", async () => {
    await page.getByRole("button", { name: "Change alice" }).click();
    await dialog.getByLabel("administrator of this site").uncheck();
    await dialog.getByRole("button", { name: "Change it" }).click();
    await dialog.getByRole("alert").getByText("the last administrator").waitFor();
    await page.keyboard.press("Escape");
});

// ---- projects -------------------------------------------------------------------------------------

await story("a project is made, and given a cluster and a manager", async () => {
    await part("Projects");
    await open_("Make a project");
    const form = formOf(page, "Make the project");
    await form.getByLabel("Name", { exact: true }).fill("s1234");
    await form.getByLabel("Title").fill("Glacier flow");
    await form.getByRole("button", { name: "Make the project" }).click();
    await said(page, "Made the project s1234.");
    await settled(page);
    for (const cluster of ["daint", "santis"]) {
        await open_("Give a cluster");
        await page.getByLabel("Cluster", { exact: true }).selectOption(cluster);
        await page.getByRole("button", { name: "Give", exact: true }).click();
        await said(page, `s1234 reaches ${cluster}.`);
        await settled(page);
    }
    await open_("Add a member");
    await page.getByLabel("User name").first().fill("bob");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await said(page, "bob is a member of s1234.");
    await page.getByRole("button", { name: "Make manager: bob" }).click();
    await said(page, "bob is a manager of s1234.");
});
await story("somebody without an account is invited into it", async () => {
    await open_("Invite somebody who has no account");
    const form = formOf(page, "Invite");
    await form.getByLabel("User name").fill("dora");
    await form.getByRole("button", { name: "Invite" }).click();
    await said(page, "Made an account for dora");
    await page.getByRole("region", { name: "the link for dora" }).getByText(/#pgi_/).waitFor();
    await settled(page);
});
await look(page, "admin-projects");
await story("a cluster is taken away, after a question that names who loses it", async () => {
    await page.getByRole("button", { name: "Take away santis from s1234" }).click();
    await dialog.getByText("2 members and the service accounts of s1234").waitFor();
    await dialog.getByRole("button", { name: "Take away" }).click();
    await said(page, "s1234 no longer reaches santis.");
});

tellComplaints();
await end();
