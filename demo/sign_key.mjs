// sign_key.mjs SETTINGS.json KEY: the person has a key of theirs signed in the dashboard.

import { readFileSync } from "node:fs";
import { end, must, open, settings, story } from "./browser.mjs";
import { signIn } from "./person.mjs";

const key = process.argv[3];
const { page } = await open();

await story(`at ${settings.url}/, sign in`, async () => {
    await page.goto(`${settings.url}/`);
    await page.waitForURL("**/sign-in?place=**");
    await signIn(page);
    await page.waitForURL(`${settings.url}/#/**`);
});
await story("navigate to Keys, paste the public key, click Sign", async () => {
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Keys", exact: true }).click();
    await page.getByLabel("Public key").first().fill(readFileSync(`${key}.pub`, "utf8"));
    await page.getByRole("button", { name: "Sign", exact: true }).click();
    await page.locator("#said").getByText("Signed until").waitFor();
});
await story(`download the signed certificate to ${key}-cert.pub`, async () => {
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: /^Download .*-cert\.pub$/ }).click();
    await (await download).saveAs(`${key}-cert.pub`);
    must(readFileSync(`${key}-cert.pub`, "utf8").includes("-cert-v01@openssh.com "), "it is no certificate");
});
await end();
