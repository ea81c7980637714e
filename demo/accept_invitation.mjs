// accept_invitation.mjs SETTINGS.json URL: the person opens the link that came with the invitation, and sets the account up.

import { end, must, open, settings, story } from "./browser.mjs";
import { nextCode, password, person, scan } from "./person.mjs";

const { page } = await open();

await story("the link opens a page that knows whom it is for", async () => {
    await page.goto(process.argv[3]);
    must((await page.getByLabel("Your user name").inputValue()) === person, "it is for somebody else");
    must(page.url() === `${settings.url}/invitation`, `the invitation still stands in the address: ${page.url()}`);
});
await story("a password is chosen", async () => {
    await page.getByLabel("Choose a password").fill(password);
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("heading", { level: 1, name: "Add an authenticator" }).waitFor();
});
await story("the QR code is scanned, and the code of the authenticator confirms it", async () => {
    scan((await page.getByRole("region", { name: "the secret" }).innerText()).replaceAll(" ", "").trim());
    await page.getByLabel("Code that the app shows").fill(await nextCode());
    await page.getByRole("button", { name: "Confirm" }).click();
});
await story("ten recovery codes are shown, for the day without it", async () => {
    await page.getByRole("heading", { level: 1, name: "Keep your recovery codes" }).waitFor();
    const codes = await page.getByRole("region", { name: "the recovery codes" }).innerText();
    must(codes.trim().split("\n").length === 10, codes);
});
await end();
