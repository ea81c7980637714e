// What every story of the dashboard does: signing in, going from page to page, hearing what was said.

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
