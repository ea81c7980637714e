// The secret of one-time codes: to be scanned, opened on this device or typed, then confirmed by a first code.

import { copyable, element, field, form, input, svg } from "./view.js";

const MARGIN = 4; // light modules around it, which readers want

// `rows` are the QR code's, from the top, "1" for dark.
function qrPicture(rows) {
    const size = rows.length + 2 * MARGIN;
    const runs = rows.flatMap((row, y) => [...row.matchAll(/1+/g)].map((run) => `M${run.index + MARGIN} ${y + MARGIN}h${run[0].length}v1h-${run[0].length}z`));
    return svg(
        "svg",
        { class: "qr", viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": "QR code for your authenticator app", "shape-rendering": "crispEdges" },
        svg("path", { d: runs.join("") }),
    );
}

// What the authority offers (`totpSecret`, `totpUri`, `totpQr`), and a form that sends the first code by confirm(code).
// `others` are buttons beside.
export function authenticator(offer, confirm, ...others) {
    const grouped = offer.totpSecret.replace(/.{4}(?=.)/g, "$& ");
    return [
        element(
            "div",
            { class: "scan" },
            qrPicture(offer.totpQr),
            element(
                "div",
                {},
                element("p", {}, "Scan it with an authenticator app. On this very device, ", element("a", { href: offer.totpUri }, "open it in the app"), ", or type the secret:"),
                copyable(grouped, "the secret"),
            ),
        ),
        form(
            [field("Code that the app shows", input("totp", { inputmode: "numeric", autocomplete: "one-time-code", maxlength: "8", required: true, class: "code" }), "Six digits; a new one comes every 30 seconds.")],
            "Confirm",
            (values) => confirm(values.totp.replace(/\s/g, "")),
            ...others,
        ),
    ];
}

// Shown this once.
export function recoveryCodes(codes) {
    return [
        element("p", {}, "They are shown this once. Each stands in for a code of your authenticator, once: print them, or keep them where your passwords are."),
        copyable(codes.join("\n"), "the recovery codes"),
    ];
}
