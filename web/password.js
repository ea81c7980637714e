// A new password, judged while it is typed by the authority's own rules.

import { ask } from "./api.js";
import { sentence } from "./text.js";
import { checkbox, element, field, input } from "./view.js";

const PAUSE_MS = 300; // after the last key

// The field, its judgement, and a way to look at what was typed.
export function newPassword(name, label, username) {
    const box = input(name, { type: "password", autocomplete: "new-password", maxlength: "512", required: true });
    const verdict = element("p", { class: "verdict", role: "status" });
    let timer, latest = 0;

    async function judge() {
        const turn = ++latest;
        const { acceptable, reason } = await ask("POST", "/api/v1/auth/password/judgement", { password: box.value, username });
        if (turn === latest) {
            verdict.className = acceptable ? "verdict good" : "verdict";
            verdict.textContent = acceptable ? "Good: hard to guess." : sentence(reason);
        }
    }

    function forget() {
        clearTimeout(timer);
        latest++;
        verdict.className = "verdict";
        verdict.textContent = "";
    }

    box.addEventListener("input", () => {
        clearTimeout(timer);
        if (box.value === "") {
            forget();
        } else {
            timer = setTimeout(() => judge().catch(forget), PAUSE_MS); // it is judged again when it is sent
        }
    });
    const made = field(label, box, "Twelve characters or more; four or five unrelated words make a good one.");
    const look = checkbox(undefined, "Show what I type", {
        onchange: (event) => {
            box.type = event.target.checked ? "text" : "password";
        },
    });
    made.append(verdict);
    return [made, look];
}
