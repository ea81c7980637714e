// What every story of the dashboard does: signing in, going from page to page, hearing what was said.

import { execFileSync } from "node:child_process";
import { fillIn, settings } from "./browser.mjs";

export async function signIn(page, name) {
    await page.goto(`${settings.url}/`);
    await page.waitForURL("**/sign-in?place=**");
    await fillIn(page, name);
    await page.waitForURL(`${settings.url}/#/**`);
    await settled(page);
}

// The page is there, and what it asked for.
export async function settled(page) {
    await page.waitForSelector("h1");
    await page.waitForFunction(() => document.querySelectorAll('[aria-busy="true"]').length === 0);
}

// To a page of the main navigation, or of one inside it ("Administration").
export async function go(page, title, within = "Pages") {
    await page.getByRole("navigation", { name: within }).getByRole("link", { name: title, exact: true }).click();
    await page.waitForFunction(
        ([label, text]) => document.querySelector(`nav[aria-label="${label}"] [aria-current]`)?.textContent === text,
        [within, title],
    );
    await settled(page);
}

export const said = (page, text) => page.locator("#said").getByText(text).first().waitFor();

// The form that a button with this name sends.
export const formOf = (page, button) => page.locator("form", { has: page.getByRole("button", { name: button, exact: true }) });

// What somebody does meanwhile, at the API: {status, body}.
export function elsewhere(method, path, token, body) {
    const json = body === undefined ? [] : ["-H", "Content-Type: application/json", "--data", JSON.stringify(body)];
    const answer = execFileSync("curl", ["-sk", "-w", "\n%{http_code}", "-X", method, "-H", `Authorization: Bearer ${token}`, ...json, settings.url + path]).toString();
    const at = answer.lastIndexOf("\n");
    return { status: answer.slice(at + 1), body: JSON.parse(answer.slice(0, at)) };
}
