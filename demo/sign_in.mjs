// sign_in.mjs SETTINGS.json URL: the person signs in where postern's browser opened.

import { end, must, open, settings, story } from "./browser.mjs";
import { signIn } from "./person.mjs";

const { page } = await open();
let back;

await story(`it opens ${process.argv[3]}, which leads to the authority`, async () => {
    await page.goto(process.argv[3]);
    const asked = new URL(page.url());
    must(asked.origin === settings.url, page.url());
    back = asked.searchParams.get("redirect_uri");
});
await story("user name, password and one-time code go in, and the button is pressed", async () => {
    await signIn(page);
    await page.waitForURL((url) => url.href.startsWith(`${back}?`));
});
await story("it leads back to postern, whose page says: You can close this page and go back to your terminal", async () => {
    const text = await page.locator("main").innerText();
    must(/Signed in[^]*You can close this page and go back to your terminal/.test(text), text);
});
await end();
