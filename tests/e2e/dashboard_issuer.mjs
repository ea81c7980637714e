// Signing in to the dashboard at an external issuer, in Chromium: for dashboard_issuer.sh.
import { code, end, look, must, open, settings, story, tellComplaints } from "./browser.mjs";

async function atOffer(page, place = "") {
    await page.goto(`${settings.url}/${place}`);
    await page.getByRole("link", { name: /^Sign in with HPC/ }).waitFor();
}

// The pages of oidc-provider for development: name and password, then consent.
async function atProvider(page, name) {
    await page.getByPlaceholder("Enter any login").fill(name);
    await page.getByPlaceholder("and password").fill("any");
    await page.getByRole("button", { name: "Sign-in" }).click();
    await page.getByRole("button", { name: "Continue" }).click();
}

await story("the sign-in page offers the issuers, and the site's own accounts below", async () => {
    const { context, page } = await open();
    await atOffer(page);
    await look(page, "sign-in-issuers");
    await context.close();
});

await story("bob signs in at the provider, and is where he wanted to be", async () => {
    const { context, page } = await open();
    await atOffer(page, "#/keys");
    await page.getByRole("link", { name: /^Sign in with HPC/ }).click();
    await atProvider(page, "bob");
    await page.waitForURL(`${settings.url}/#/keys`);
    await page.getByRole("heading", { level: 1, name: "Keys" }).waitFor();
    must((await page.locator("body").innerText()).includes("bob"), "the page does not say who is signed in");
    const cookies = await context.cookies(settings.url);
    must(cookies.some((one) => one.name.endsWith("-session") && one.sameSite === "Strict"), "no strict session");
    must(!cookies.some((one) => one.name.endsWith("-visit")), "the visit's cookie is still there");

    // The very same answer, once more.
    await page.goto(`${settings.url}/sign-in/back/hpc?code=x&state=y`);
    await page.getByText("used already").waitFor();
    await look(page, "sign-in-refused");
    await context.close();
});

await story("who cancels there is told so here, and can begin again", async () => {
    const { context, page } = await open();
    await atOffer(page);
    await page.getByRole("link", { name: /^Sign in with HPC/ }).click();
    await page.getByRole("link", { name: /Cancel/ }).click();
    await page.getByText("the sign-in was cancelled").waitFor();
    await page.getByRole("link", { name: "Sign in again" }).click();
    await page.getByRole("link", { name: /^Sign in with HPC/ }).waitFor();
    await context.close();
});

await story("who used one factor there does not come in", async () => {
    const { context, page } = await open();
    await atOffer(page);
    await page.getByRole("link", { name: /^Sign in with HPC/ }).click();
    await atProvider(page, "bob-weak");
    await page.getByText("sign in with one").waitFor();
    await context.close();
});

// Its sign-in page is a program, of which Debian has parts in packages of their own: the calls that it makes have to do.
if (settings.people.bob.secret !== "") {
    await story("bob signs in at glewlwyd, with its code", async () => {
        const { context, page } = await open();
        await page.route(/\/login\.js$/, (route) => route.abort());
        await atOffer(page, "#/security");
        await page.getByRole("link", { name: "Sign in with Glewlwyd" }).click();
        await page.waitForURL(/\/login\.html\?/);
        const credentials = { username: "bob", password: settings.people.bob.password };
        const proof = { username: "bob", scheme_type: "otp", scheme_name: "otp", value: { value: await code("bob") } };
        const statuses = await page.evaluate(
            async (bodies) => {
                const statuses = [];
                for (const [method, path, body] of bodies) {
                    const headers = { "Content-Type": "application/json" };
                    statuses.push((await fetch(path, { method, headers, body: JSON.stringify(body) })).status);
                }
                return statuses;
            },
            [
                ["POST", "/api/auth/", credentials],
                ["POST", "/api/auth/", proof],
                ["PUT", "/api/auth/grant/posterngate", { scope: "openid" }],
            ],
        );
        must(statuses.every((status) => status === 200), statuses.join(" "));
        await page.goto(`${new URL(page.url()).searchParams.get("callback_url")}&g_continue`);
        await page.waitForURL(`${settings.url}/#/security`);
        await page.getByRole("heading", { level: 1, name: "Security" }).waitFor();
        await context.close();
    });
}

tellComplaints();
await end();
