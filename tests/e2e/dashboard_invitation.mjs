// From the link that an administrator sends to the dashboard: a password, an authenticator, recovery codes.

import { createRequire } from "node:module";
import { code, end, look, must, open, settings, story, tell, tellComplaints, violations } from "./browser.mjs";

const jsQR = createRequire(`${settings.modules}/`)("jsqr");

// What a camera would see, as jsQR takes it.
async function pixels(picture) {
    const [bytes, side] = await picture.evaluate(async (svg) => {
        const image = new Image(320, 320);
        const copy = svg.cloneNode(true);
        copy.setAttribute("width", 320);
        copy.setAttribute("height", 320);
        image.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
        await image.decode();
        const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 320 });
        const context = canvas.getContext("2d");
        context.fillStyle = getComputedStyle(svg).backgroundColor;
        context.fillRect(0, 0, 320, 320);
        context.drawImage(image, 0, 0);
        return [[...context.getImageData(0, 0, 320, 320).data], 320];
    });
    return [Uint8ClampedArray.from(bytes), side, side];
}

const { page } = await open();
const bob = { password: "blue-river-stone-47", secret: "" };
settings.people.bob = bob;

await story("without an invitation the page says what to do", async () => {
    await page.goto(`${settings.url}/invitation`);
    await page.getByRole("alert").getByText("There is no invitation in this address").waitFor();
});
await story("one that is not good is refused in words", async () => {
    await page.goto(`${settings.link.replace(/#.*/, "")}?again#pgi_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA`);
    await page.getByRole("alert").getByText("This invitation is not valid").or(page.getByRole("alert").getByText("this invitation is not valid")).waitFor();
});
await look(page, "invitation-refused");
await story("the link opens the page, and is in no address any more", async () => {
    await page.goto("about:blank");
    await page.goto(settings.link);
    await page.getByRole("heading", { level: 1, name: "Welcome, Bob Example" }).waitFor();
    must(page.url() === `${settings.url}/invitation`, `the address is ${page.url()}`);
    must((await page.getByLabel("Your user name").inputValue()) === "bob", "it is not for bob");
});
await story("the password is judged while it is typed", async () => {
    const password = page.getByLabel("Choose a password");
    await password.pressSequentially("bobbobbob123");
    await page.getByText("little more than the account's name").waitFor();
    await password.fill("short");
    await page.getByText("The password has 5 characters and needs at least 12").waitFor();
});
await look(page, "invitation-password");
await story("a bad one is refused at its field", async () => {
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("alert").waitFor();
    must((await page.getByLabel("Choose a password").getAttribute("aria-invalid")) === "true", "the field is not marked");
});
await story("a good one leads on", async () => {
    await page.getByLabel("Choose a password").fill(bob.password);
    await page.getByText("Good: hard to guess.").waitFor();
    await page.getByLabel("Show what I type").check();
    must((await page.getByLabel("Choose a password").getAttribute("type")) === "text", "it is not shown");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Add an authenticator" }).waitFor();
    must((await page.evaluate(() => document.activeElement.tagName)) === "H1", "the focus did not go to the heading");
    bob.secret = (await page.getByRole("region", { name: "the secret" }).innerText()).replaceAll(" ", "").trim();
    must(/^[A-Z2-7]{32}$/.test(bob.secret), `the secret is ${bob.secret}`);
});
await story("the QR code is drawn, and the app can be opened on this device", async () => {
    const picture = page.getByRole("img", { name: "QR code" });
    const box = await picture.boundingBox();
    must(box.width > 150 && Math.abs(box.width - box.height) < 1, `it is ${box.width} by ${box.height}`);
    const link = await page.getByRole("link", { name: "open it in the app" }).getAttribute("href");
    must(link.startsWith("otpauth://totp/") && link.includes(`secret=${bob.secret}`), `it opens ${link}`);
    must(jsQR(...(await pixels(picture)))?.data === link, "what a reader sees in it is something else");
});
await look(page, "invitation-authenticator");
await story("a wrong code is told, and can be mended", async () => {
    await page.getByLabel("Code that the app shows").fill("000000");
    await page.getByRole("button", { name: "Confirm" }).click();
    await page.getByRole("alert").getByText("the one-time code is wrong", { exact: false }).waitFor();
    const [, first, last] = /^(...)(...)$/.exec(await code("bob"));
    await page.getByLabel("Code that the app shows").fill(`${first} ${last}`);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Keep your recovery codes" }).waitFor();
});
await look(page, "invitation-codes");
await story("the recovery codes are taken along", async () => {
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download them" }).click();
    await (await download).saveAs(`${settings.folder}/recovery-codes-bob.txt`);
});
await story("and Home tells the next thing to do", async () => {
    await page.getByRole("link", { name: "Go to the dashboard" }).click();
    await page.getByRole("heading", { level: 1, name: "Bob Example" }).waitFor();
    await page.getByRole("region", { name: "The next thing to do" }).getByText("Join a project").waitFor();
});
await story("the link is good no more", async () => {
    await page.goto(settings.link);
    await page.getByRole("heading", { level: 1, name: "This invitation cannot be used" }).waitFor();
    await page.getByRole("link", { name: "sign in" }).click();
    await page.getByRole("heading", { level: 1, name: "Bob Example" }).waitFor();
});

tell((await violations(page)).length === 0, "axe finds nothing at the end");
tellComplaints();
await end();
