// demo_first_login.mjs SETTINGS.json: signs in at the demo's dashboard with what the demo printed.

import { end, fillIn, open, settings, story, tellComplaints } from "./browser.mjs";

const { page } = await open();
await story("the address leads to the sign-in", async () => {
    await page.goto(`${settings.url}/`);
    await page.waitForURL("**/sign-in?place=**");
});
await story(`${settings.name} is let in`, async () => {
    await fillIn(page, settings.name, { totp: settings.totp });
    await page.waitForURL(`${settings.url}/#/**`);
});
await story("and is an administrator, who sees alice", async () => {
    await page.getByRole("link", { name: "Admin", exact: true }).click();
    await page.getByText("alice").first().waitFor();
});
tellComplaints();
await end();
