// dashboard.mjs MODULES CHROMIUM URL PASSWORD CODE LOADS: what bench-dashboard.sh measures.

import { createRequire } from "node:module";

const [modules, executablePath, url, password, code, loads] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const browser = await chromium.launch({ executablePath, args: ["--no-proxy-server"] });

// Each in a browser of its own, which keeps nothing but the session.
async function open(state) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, storageState: state });
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await session.send("Network.enable");
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    const wire = { bytes: 0, requests: 0 };
    session.on("Network.loadingFinished", (event) => {
        wire.bytes += event.encodedDataLength;
        wire.requests++;
    });
    return { context, page, session, wire };
}

const ready = (page) =>
    page.waitForFunction(() => performance.getEntriesByName("ready").length > 0 && document.querySelectorAll('[aria-busy="true"]').length === 0);

const first = await open();
await first.page.goto(`${url}/sign-in`);
await first.page.getByLabel("User name").fill("alice");
await first.page.getByLabel("Password").fill(password);
await first.page.getByLabel("Code from your authenticator").fill(code);
await first.page.getByRole("button", { name: "Sign in", exact: true }).click();
await ready(first.page);
const state = await first.context.storageState();
await first.context.close();

const bytes = [];
const times = [];
const filled = [];
const cpu = [];
let requests = 0;
for (let i = 0; i < Number(loads); i++) {
    const { context, page, session, wire } = await open(state);
    await page.goto(`${url}/`);
    await ready(page);
    filled.push(await page.evaluate(() => performance.now()));
    times.push(await page.evaluate(() => performance.getEntriesByName("ready")[0].startTime));
    const { metrics } = await session.send("Performance.getMetrics");
    cpu.push(1000 * metrics.find((one) => one.name === "TaskDuration").value);
    bytes.push(wire.bytes);
    requests = wire.requests;
    await context.close();
}

// 10,000 certificates: the first page of the list, and each further one, from the press of the button to its rows.
const { page } = await open(state);
await page.goto(`${url}/#/keys`);
await ready(page);
const turns = await page.evaluate(async () => {
    const list = () => document.querySelector('ul[aria-label="Certificates"]')?.childElementCount ?? 0;
    const grown = (before) =>
        new Promise((resolve) => {
            const look = () => (list() > before ? resolve() : requestAnimationFrame(look));
            look();
        });
    const times = [];
    const filter = document.querySelector('select[name="status"]');
    filter.value = "all";
    let begun = performance.now();
    filter.dispatchEvent(new Event("change"));
    await grown(0);
    times.push(performance.now() - begun);
    for (let i = 0; i < 40; i++) {
        const before = list();
        begun = performance.now();
        [...document.querySelectorAll("button.more")].find((button) => !button.hidden).click();
        await grown(before);
        await new Promise((resolve) => setTimeout(resolve, 0)); // the button is free again
        times.push(performance.now() - begun);
    }
    return times;
});
await browser.close();

const result = {
    first_page_bytes: median(bytes),
    first_page_requests: requests,
    ready_ms: Math.round(median(times)),
    ready_worst_ms: Math.round(Math.max(...times)),
    filled_ms: Math.round(median(filled)),
    main_thread_cpu_ms: Math.round(median(cpu)),
    list_page_ms: Math.round(median(turns)),
    list_page_worst_ms: Math.round(Math.max(...turns)),
};
console.error(`first page   ${(result.first_page_bytes / 1000).toFixed(1)} KB in ${requests} requests, ready after ${result.ready_ms} ms (worst of ${loads}: ${result.ready_worst_ms}), its lists after ${result.filled_ms} ms;`);
console.error(`             CPU time of the page's main thread: ${result.main_thread_cpu_ms} ms`);
console.error(`10,000 rows  ${result.list_page_ms} ms for each page of 50 (worst of 41: ${result.list_page_worst_ms})`);
console.log(JSON.stringify({ bench: "dashboard", ...result }));
