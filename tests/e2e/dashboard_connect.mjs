// Takes what Connect shows for ssh, with the site's jump hosts and then without any.

import { writeFileSync } from "node:fs";
import { end, must, open, settings, story, tellComplaints } from "./browser.mjs";
import { elsewhere, go, said, settled, signIn } from "./dashboard_steps.mjs";

const { context, page } = await open();
await context.grantPermissions(["clipboard-read", "clipboard-write"]);

async function take(name) {
    await page.getByRole("button", { name: "Copy the configuration of ssh" }).click();
    await said(page, "Copied: the configuration of ssh.");
    writeFileSync(`${settings.folder}/${name}`, await page.evaluate(() => navigator.clipboard.readText()));
}

await story("the text is taken", async () => {
    await signIn(page, "alice");
    await go(page, "Connect");
    await take("page-jump");
    await page.getByRole("button", { name: "Copy the known hosts" }).click();
    await said(page, "Copied: the known hosts.");
    writeFileSync(`${settings.folder}/known-hosts`, await page.evaluate(() => navigator.clipboard.readText()));
});
await story("and once more without jump hosts", async () => {
    for (const jump of ["ela1", "ela2"]) {
        must(elsewhere("DELETE", `/api/v1/hosts/${jump}`, settings.admin).status === "200", `${jump} stays`);
    }
    await page.reload();
    await settled(page);
    await take("page-direct");
});
tellComplaints();
await end();
