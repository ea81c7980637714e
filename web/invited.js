// What is handed to somebody who is invited.

import { when } from "./text.js";
import { copyable, element } from "./view.js";

// `answer` is the API's, of whatever made the invitation.
export function invited(name, { invitation, invitationUrl, invitationExpireTime }) {
    return element(
        "div",
        { class: "result", tabindex: "-1" },
        element("h3", {}, `The invitation of ${name}`),
        element("p", {}, `It is shown this once, and good until ${when(invitationExpireTime)}. Send it over a channel that you trust: whoever opens the link first is ${name}.`),
        copyable(invitationUrl, `the link for ${name}`),
        element("details", {}, element("summary", {}, "At a terminal instead"), copyable(`postern init ${location.origin}\npostern login --invitation ${invitation}`, `the commands for ${name}`)),
    );
}
