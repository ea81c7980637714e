// person.mjs SETTINGS.json URL: what a story's person does in the browser that postern opened, step by step, to sign in.

import { end, fillIn, must, open, settings, story } from "./browser.mjs";

const { page } = await open();
let back;

await story(`it opens ${process.argv[3]}, which leads to the authority`, async () => {
    await page.goto(process.argv[3]);
    const asked = new URL(page.url());
    must(asked.origin === settings.url, page.url());
    back = asked.searchParams.get("redirect_uri");
});
await page.screenshot({ path: `${settings.pictures}/sign-in.png`, fullPage: true });
await story("user name, password and one-time code go in, and the button is pressed", async () => {
    await fillIn(page, settings.person);
    await page.waitForURL((url) => url.href.startsWith(`${back}?`));
});
await story("it leads back to postern, whose page says: You can close this page and go back to your terminal", async () => {
    const text = await page.locator("main").innerText();
    must(/Signed in[^]*You can close this page and go back to your terminal/.test(text), text);
});
await page.screenshot({ path: `${settings.pictures}/signed-in.png`, fullPage: true });
await end();
