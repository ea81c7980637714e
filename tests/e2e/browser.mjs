// What the browser's stories stand on: Chromium by playwright-core, pictures, axe, and "ok - …" and "not ok - …" for browser_world.sh.
// The program's first argument is a JSON file: url, modules, chromium, pictures, people {NAME: {password, secret}}, and what else
// the story wants; a person's "step" is the last whose code was used before.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { chromium } = createRequire(`${settings.modules}/`)("playwright-core");

const WIDTHS = [360, 768, 1440];
const SCHEMES = ["light", "dark"];

// ---- telling ------------------------------------------------------------------------------------

let failures = 0;

export function tell(good, description, why = "") {
    if (!good) {
        failures++;
        console.log(String(why));
    }
    console.log(`${good ? "ok" : "not ok"} - ${description}`);
}

// One step. Of one that fails there are the pictures failed-0.png, … of what was open, and its words.
export async function story(description, play) {
    try {
        await play();
        tell(true, description);
    } catch (error) {
        const why = [error.stack];
        for (const [number, page] of browser.contexts().flatMap((context) => context.pages()).entries()) {
            await page.screenshot({ path: `${settings.pictures}/failed-${number}.png` }).catch(() => {});
            why.push(`${page.url()} said:`, await page.locator("body").innerText().catch(String));
        }
        tell(false, description, why.join("\n"));
    }
}

export function must(condition, message) {
    if (!condition) {
        throw new Error(message);
    }
}

// ---- the browser --------------------------------------------------------------------------------

export const browser = await chromium.launch({ executablePath: settings.chromium, args: ["--no-proxy-server"] });
const complaints = [];

// A refusal that a story asks for is written to the console by the browser itself.
function isRefusal(message) {
    const status = /^Failed to load resource: the server responded with a status of (\d+) /.exec(message.text())?.[1];
    const { url } = message.location();
    return (
        (["400", "401", "403", "409", "422", "429"].includes(status) && url.startsWith(`${settings.url}/`)) ||
        (status === "404" && url.startsWith(`${settings.url}/api/`))
    );
}

// What the pages of other sites, where a story leads, complain of is theirs.
function isElsewhere(message) {
    const { url } = message.location();
    return url !== "" && !url.startsWith(`${settings.url}/`);
}

// A person's browser, with cookies of its own: its context, whose close() ends it, and its page.
export async function open(options = {}) {
    const context = await browser.newContext({
        ignoreHTTPSErrors: true,
        acceptDownloads: true,
        locale: "en-GB",
        reducedMotion: "reduce",
        ...options,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(20000);
    page.on("console", (message) => {
        if (["error", "warning"].includes(message.type()) && !isRefusal(message) && !isElsewhere(message)) {
            complaints.push(message.text());
        }
    });
    page.on("pageerror", (error) => complaints.push(error.stack));
    return { context, page };
}

// Says whether the browser complained of anything: errors, and what the policy of contents refused. Of what the stories brought about,
// as patterns, it must have complained.
export function tellComplaints(...awaited) {
    const others = complaints.filter((one) => !awaited.some((pattern) => pattern.test(one)));
    const missing = awaited.filter((pattern) => !complaints.some((one) => pattern.test(one)));
    tell(others.length + missing.length === 0, "the browser had nothing to complain of", [...others, ...missing.map((pattern) => `nothing of ${pattern}`)].join("\n"));
}

export async function end() {
    await browser.close();
    process.exit(failures > 0 ? 1 : 0);
}

// Virtual authenticators: the one in a laptop, and a key on the bus.
export const LAPTOP = {
    protocol: "ctap2",
    transport: "internal",
    hasResidentKey: true,
    hasUserVerification: true,
    isUserVerified: true,
    automaticPresenceSimulation: true,
};
export const SECURITY_KEY = { ...LAPTOP, transport: "usb", hasResidentKey: false, hasUserVerification: false, isUserVerified: false };

export async function plugIn(page, options) {
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("WebAuthn.enable");
    const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", { options });
    return { devtools, authenticatorId };
}

// ---- a person -----------------------------------------------------------------------------------

// Codes work once each: that of the present step, or else of the next one.
const steps = {};
export async function code(name) {
    for (;;) {
        const step = Math.max(Math.floor(Date.now() / 30000), (steps[name] ?? settings.people[name].step ?? 0) + 1);
        if (step * 30000 <= Date.now() + 30000) {
            steps[name] = step;
            return execFileSync("oathtool", ["--totp", "-b", "--now", `@${step * 30}`, settings.people[name].secret]).toString().trim();
        }
        await new Promise((resolve) => setTimeout(resolve, 500));
    }
}

// Fills in the sign-in form that the page shows, and sends it. Without `totp` it takes the person's code.
export async function fillIn(page, name, { totp } = {}) {
    await page.getByLabel("User name").fill(name);
    await page.getByLabel("Password").fill(settings.people[name].password);
    await page.getByLabel("Code from your authenticator").fill(totp ?? (await code(name)));
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

// ---- judging ------------------------------------------------------------------------------------

let axe;
export async function violations(page) {
    axe ??= readFileSync(`${settings.modules}/axe-core/axe.min.js`, "utf8");
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() =>
        globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
    );
    return violations.map((one) => `${one.id}: ${one.help}\n${one.nodes.map((node) => `  ${node.target} ${node.failureSummary}`).join("\n")}`);
}

// Every width in light and dark: a picture, axe's judgement, and nothing that sticks out.
export async function look(page, name) {
    for (const scheme of SCHEMES) {
        await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
        for (const width of WIDTHS) {
            await page.setViewportSize({ width, height: width < 500 ? 780 : 900 });
            await page.evaluate(() => scrollTo(0, 0));
            await page.screenshot({ path: `${settings.pictures}/${name}-${width}-${scheme}.png`, fullPage: true });
            const found = await violations(page);
            tell(found.length === 0, `${name} at ${width}, ${scheme}: axe finds nothing`, found.join("\n"));
            const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
            tell(wide <= 0, `${name} at ${width}, ${scheme}: nothing sticks out`, `by ${wide} pixels`);
        }
    }
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
    await page.setViewportSize({ width: 1440, height: 900 });
}
