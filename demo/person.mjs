// person.mjs SETTINGS.json URL: what a story's person does in the browser that postern opened, step by step, to sign in.

import { end, fillIn, must, open, settings, story } from "./browser.mjs";

const asked = new URL(process.argv[3]);
const back = asked.searchParams.get("redirect_uri");
const { page } = await open();

await story(`it opens ${asked.origin}${asked.pathname}`, () => page.goto(asked.href));
await page.screenshot({ path: `${settings.pictures}/sign-in.png`, fullPage: true });
await story("user name, password and one-time code go in, and the button is pressed", async () => {
    await fillIn(page, settings.person);
    await page.waitForURL((url) => url.href.startsWith(`${back}?`));
});
await story(`it leads back to ${back}`, async () => {
    const text = await page.locator("main").innerText();
    must(/Signed in[^]*You can close this page/.test(text), text);
});
await page.screenshot({ path: `${settings.pictures}/signed-in.png`, fullPage: true });
await end();
