// Who sits at a story's browser, with an authenticator: its secret, and which step it was last used for, are kept in the person's home.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fillIn, settings } from "./browser.mjs";

export const { person } = settings;
export const { password } = settings.people[person];
const secretFile = `${process.env.HOME}/totp-secret`;
const stepFile = `${process.env.HOME}/totp-step`;

export function scan(secret) {
    writeFileSync(secretFile, secret);
}

// A code is good once: that of the step before, unless that is about to be too old, of the present one, or of the next.
export async function nextCode() {
    const last = existsSync(stepFile) ? Number(readFileSync(stepFile, "utf8")) : 0;
    for (;;) {
        const now = Date.now() / 30000;
        const step = Math.max(Math.floor(now - 0.8), last + 1);
        if (step <= now + 1) {
            writeFileSync(stepFile, String(step));
            return execFileSync("oathtool", ["--totp", "-b", "--now", `@${step * 30}`, readFileSync(secretFile, "utf8").trim()]).toString().trim();
        }
        await new Promise((resolve) => setTimeout(resolve, 500));
    }
}

export async function signIn(page) {
    await fillIn(page, person, { totp: await nextCode() });
}
